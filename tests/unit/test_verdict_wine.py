"""The proof on the tutorial's own data: what the verdict says of the two wine models, through the real store.

B is better by 1.3 % of RMSE, and the tutorial's reward says the opposite by far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.deployments.history_text import split_text
from services.domain import LATENCY_EDGES_MS, PAIRED, ChangeNote, Deployment, Outcome, OutcomeStatus, Predictor, Split
from services.evidence.blocks import PairBlock
from services.evidence.database import open_database
from services.evidence.replay_table import ReplayRecord
from services.evidence.store import EvidenceStore
from services.metrics.prometheus import MetricsReader
from services.operations import Operations
from services.settings import Settings
from services.stats.sums import Sums
from services.tracking.models import ModelCatalogue
from services.tracking.row_split import RowSplit
from services.tracking.runs import RunCatalogue
from services.traffic.datasets import load_dataset
from services.traffic.rewards import Reward, RewardKind
from services.verdict.decide import decide
from services.verdict.ledger_side import ArmSums, PairedSide, together
from services.verdict.model import Call, Light
from services.verdict.paired import paired_strand
from services.verdict.reading import Sources
from services.verdict.rows import MOST_PAIRS, by_training, learned, replay_rows
from services.verdict.rule import ABTest, Decides, LiveFrom, Rule
from services.verdict.service import Verdicts
from services.verdict.table import metric_rows
from services.verdict.traffic import ledger_strand
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import outcome
from tests.support.waiting import free_port
from tests.support.wine_rewards import held_out_rows, predictions

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOTE = ChangeNote("ann", "a test")
TEST = ABTest(1, "seldon", "wine", Rule(), "models:/a", "models:/b", "ann", NOW)
BOUNDED, TUTORIAL = Reward(RewardKind.BOUNDED), Reward(RewardKind.TUTORIAL)


class World:
    """A store on disk, a deployment with two arms, and neither Prometheus nor MLflow."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(state_dir=folder, scrape_interval_s=1, mlflow_tracking_uri=f"sqlite:///{folder}/mlflow.db")
        self.store = EvidenceStore(open_database(f"sqlite:///{folder / 'decant.db'}"))
        self.engine = MemoryEngine()
        metrics = MetricsReader(f"http://127.0.0.1:{free_port()}", 1, timeout_s=1)
        models = ModelCatalogue(settings.tracking_uri)
        runs = RunCatalogue(settings.tracking_uri)
        self.verdicts = Verdicts(Sources(self.store, self.engine, metrics, models, runs, settings))
        arms = (Predictor("a", "models:/m-a", 80), Predictor("b", "models:/m-b", 20))
        Operations(self.engine, self.store).apply(Deployment("seldon", "wine", arms), note=NOTE)

    def replay(self, reward: Reward, mode: str = "paired", **spec: object) -> ReplayRecord:
        stored = {"mode": mode, "reward": reward.to_json(), "digest": "wines", "dataset": "wine-quality"}
        more = {"target": "quality", "arms": ["a", "b"] if mode == "paired" else [], **spec}
        return self.store.replays.add("seldon", "wine", stored | more, 4898, "done", "ann")

    def pairs(self, record: ReplayRecord, reward: Reward, rows: np.ndarray, pass_: int = 0, copy: bool = False) -> None:
        """Both models' answers to these rows go into the ledger, as a paired replay records them."""
        truth, of_a, of_b = predictions()
        at = datetime.now(UTC)
        outcomes = []
        for place, row in enumerate(rows.tolist()):
            for arm, answers in (("a", of_a), ("b", of_a if copy else of_b)):
                earned = reward(float(truth[row]), float(answers[row]))
                outcomes.append(
                    Outcome(
                        f"r{record.id}-{pass_}-{row}-{arm}", "seldon", "wine", arm, PAIRED, record.id, row,
                        float(answers[row]), float(truth[row]), earned, 2.0, OutcomeStatus.OK,
                        at + timedelta(microseconds=place), pass_, "", "wines", True,
                    )
                )  # fmt: skip
        self.store.ledger.record(outcomes)

    def traffic(self, record: ReplayRecord, reward: Reward, rows: int) -> None:
        """Answers of 80/20 traffic to the first rows, as a live replay records them."""
        truth, of_a, of_b = predictions()
        chance, split = np.random.default_rng(5), split_text(Split.of({"a": 80, "b": 20}))
        outcomes = []
        for row in range(rows):
            arm, answers = ("b", of_b) if chance.random() < 0.2 else ("a", of_a)
            earned = reward(float(truth[row]), float(answers[row]))
            outcomes.append(
                Outcome(
                    f"r{record.id}-0-{row}", "seldon", "wine", arm, split, record.id, row, float(answers[row]),
                    float(truth[row]), earned, 2.0, OutcomeStatus.OK, datetime.now(UTC), digest="wines",
                )
            )  # fmt: skip
        self.store.ledger.record(outcomes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)


def shuffled(rows: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(predictions()[0]))[:rows]


def test_a_paired_replay_of_all_rows_ships_b(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.pairs(world.replay(BOUNDED), BOUNDED, shuffled(4898))
    found = world.verdicts.assess("seldon", "wine")
    assert found.call is Call.SHIP
    assert found.paired is not None and found.paired.interval is not None
    assert found.paired.n == 4898
    assert found.paired.interval.estimate == pytest.approx(0.0040, abs=5e-5)
    rows = {row.key: row for row in found.table}
    assert (rows["rmse"].a.value, rows["rmse"].b.value) == pytest.approx((0.8252, 0.8142), abs=1e-4)
    assert (rows["mae"].a.value, rows["mae"].b.value) == pytest.approx((0.6323, 0.6277), abs=1e-4)
    assert rows["rmse"].better == "b" and rows["reward"].better == "b"
    assert found.disagreements[0].prediction_a != found.disagreements[0].prediction_b
    assert {check.key for check in found.checks} == {
        "attribution", "split", "enough", "reward", "feedback", "environment",
    }  # fmt: skip
    assert found.decidable


def test_the_tutorials_reward_is_not_to_be_trusted(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=TUTORIAL), note=NOTE)
    world.pairs(world.replay(TUTORIAL), TUTORIAL, shuffled(4898))
    found = world.verdicts.assess("seldon", "wine")
    assert found.call is Call.DISTRUST
    assert "decide this reward" in found.headline
    check = next(check for check in found.checks if check.key == "reward")
    assert check.light is Light.RED and "1/(1 + error²)" in check.advice
    assert found.paired is not None and found.paired.interval is None, "no interval is shown of a mean that is none"
    assert found.paired.mean_a is not None and found.paired.mean_b is not None
    assert found.paired.mean_a > 3 * found.paired.mean_b, "though it looks as if A were far ahead"
    assert not found.decidable


def test_b_is_found_within_400_rows_in_at_least_80_of_100_shuffles():
    truth, of_a, of_b = predictions()
    gain = BOUNDED.of(truth, of_b) - BOUNDED.of(truth, of_a)
    calls = []
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(gain))[:400]
        looks = (call_of_pairs(gain[order[:n]]) for n in range(100, 401, 20))
        calls.append(next((call for call in looks if call is not Call.RUNNING), Call.RUNNING))
    assert calls.count(Call.SHIP) >= 80
    assert calls.count(Call.KEEP) <= 5


def test_two_models_that_answer_exactly_the_same_keep_a(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.pairs(world.replay(BOUNDED), BOUNDED, shuffled(500), copy=True)
    found = world.verdicts.assess("seldon", "wine")
    assert found.call is Call.KEEP
    assert "exactly the same" in found.headline
    assert found.paired is not None and found.paired.agreement == 1


def test_of_two_equal_models_with_errors_of_their_own_one_is_named_in_at_most_5_of_100_replays():
    """A against A, each with a symmetric error of its own: the pairs differ, the models do not."""
    truth, of_a, _ = predictions()
    named = 0
    for seed in range(100):
        chance = np.random.default_rng(2000 + seed)
        order = chance.permutation(len(truth))[:2000]
        one, other = (of_a[order] + chance.normal(0, 0.2, len(order)) for _ in range(2))
        gain = BOUNDED.of(truth[order], other) - BOUNDED.of(truth[order], one)
        assert np.count_nonzero(gain) > 1900
        looks = (call_of_pairs(gain[:n]) for n in range(100, 2001, 100))
        named += any(call in (Call.SHIP, Call.KEEP) for call in looks)
    assert named <= 5


def test_a_copy_of_a_under_a_split_is_shipped_in_at_most_5_of_100_replays():
    """Every replay is looked at sixteen times on its way: the level holds for all looks together."""
    truth, of_a, _ = predictions()
    earned = BOUNDED.of(truth, of_a)
    shipped = 0
    for seed in range(100):
        chance = np.random.default_rng(1000 + seed)
        order = chance.permutation(len(earned))
        to_b = chance.random(len(earned)) < 0.2
        looks = (call_of_traffic(earned[order[:n]], to_b[:n]) for n in range(300, 4801, 300))
        shipped += Call.SHIP in set(looks)
    assert shipped <= 5


def test_rows_sent_again_do_not_count_again(world: World):
    """Neither in a second pass nor in a second replay: the models would only repeat themselves."""
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    rows = shuffled(150)
    once = world.replay(BOUNDED)
    world.pairs(once, BOUNDED, rows)
    before = world.verdicts.assess("seldon", "wine").paired
    world.pairs(world.replay(BOUNDED, passes=3), BOUNDED, rows)
    world.pairs(world.replay(BOUNDED), BOUNDED, rows[:120])
    after = world.verdicts.assess("seldon", "wine").paired
    assert before is not None and after is not None
    assert after.n <= before.n == 150
    assert after.interval == before.interval
    passes = world.replay(BOUNDED, passes=2, digest="others")
    world.pairs(passes, BOUNDED, rows, pass_=0)
    world.pairs(passes, BOUNDED, rows, pass_=1)
    assert world.verdicts.assess("seldon", "wine").paired.n <= 300


def test_a_replay_under_another_reward_is_not_evidence(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.pairs(world.replay(TUTORIAL), TUTORIAL, shuffled(200))
    assert world.verdicts.assess("seldon", "wine").paired is None


def test_a_test_that_reads_the_ledger_does_not_need_prometheus(world: World):
    rule = Rule(reward=BOUNDED, decides=Decides.LIVE, live_from=LiveFrom.LEDGER)
    world.verdicts.start("seldon", "wine", rule, note=NOTE)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 2000)
    found = world.verdicts.assess("seldon", "wine")
    assert found.live is not None and found.live.n == 2000
    assert found.live.read_from is LiveFrom.LEDGER and found.beside is None
    assert found.call is Call.RUNNING, "one pass at 80/20 cannot tell two so similar models apart"
    assert found.live.remaining_n is None or found.live.remaining_n > 1000


def test_rows_sent_through_the_split_again_are_load_and_no_evidence(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED, live_from=LiveFrom.LEDGER), note=NOTE)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 1500)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 1000)
    world.traffic(world.replay(BOUNDED, mode="live", passes=5, digest="others"), BOUNDED, 500)
    found = world.verdicts.assess("seldon", "wine")
    assert found.live is not None and found.live.n == 1500
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 1500)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 1000)
    found = world.verdicts.assess("seldon", "wine")
    assert found.live is not None and found.live.interval is None
    assert "more than once" in found.live.withheld, "so the counters are not asked"
    assert found.beside is not None and found.beside.n == 1500


def test_counters_that_hold_another_reward_are_not_asked(world: World):
    """A replay that began before the test and goes on in it, too."""
    before = world.replay(TUTORIAL, mode="live", digest="others")
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.traffic(before, TUTORIAL, 300)
    world.traffic(world.replay(BOUNDED, mode="live"), BOUNDED, 1000)
    found = world.verdicts.assess("seldon", "wine")
    assert found.live is not None and found.live.interval is None
    assert "another reward" in found.live.withheld
    assert found.beside is not None and found.beside.n == 1000
    assert found.beside.mean_a is not None and found.beside.mean_a < 1


def test_another_replays_tail_does_not_spoil_this_reward(world: World):
    formula = Reward(RewardKind.FORMULA, expression="exp(-abs(y - y_pred))")
    world.verdicts.start("seldon", "wine", Rule(reward=formula), note=NOTE)
    world.pairs(world.replay(formula), formula, shuffled(600))
    world.pairs(world.replay(TUTORIAL, digest="others"), TUTORIAL, shuffled(600))
    found = world.verdicts.assess("seldon", "wine")
    assert found.call is not Call.DISTRUST, found.headline


def test_a_model_that_was_replaced_and_put_back_has_ended_the_test(world: World):
    test = world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.pairs(world.replay(BOUNDED), BOUNDED, shuffled(150))
    deploy(world, "models:/m-other")
    replaced = world.store.changes("seldon", "wine", limit=1)[0]
    world.pairs(world.replay(BOUNDED, digest="others"), BOUNDED, shuffled(700))
    deploy(world, "models:/m-b")
    found = world.verdicts.assess("seldon", "wine")
    assert (found.test.id, found.test.ended_at) == (test.id, replaced.at)
    assert "replaced" in found.test.ended_why
    assert found.paired is not None and found.paired.n == 150, "what the other model answered does not count"


def test_a_guardrail_is_not_broken_by_a_busy_hour_in_which_b_had_more_traffic():
    """Simpson: both arms are equally slow in each split, and B got most of its requests in the slow one."""
    quiet, busy = arm_sums(9500, 95), arm_sums(500, 5)
    strata = [(quiet, busy), (arm_sums(5000, 1500), arm_sums(5000, 1500))]
    rows = {row.key: row for row in metric_rows(Rule(), None, strata, together(strata), ())}
    slow = rows["slow"]
    assert slow.a.value is not None and slow.b.value is not None and slow.b.value > slow.a.value + 0.1
    assert slow.difference is not None and slow.limit is not None
    assert slow.difference.low < 0 < slow.difference.high < slow.limit


def test_rows_that_the_models_have_not_learned_are_told_apart(world: World):
    """The figures of the 1,225 test rows, which are a quarter of what a replay of the whole file sends."""
    record = world.replay(BOUNDED, digest="abc")
    world.pairs(record, BOUNDED, shuffled(4898))
    held_out = held_out_rows()
    split = RowSplit("abcdef", frozenset(range(4898)) - frozenset(held_out.tolist()))
    rows = replay_rows(world.store.ledger, [record], 4898)
    fresh, trained = by_training(Rule(), rows, lambda: [split, None])
    assert (fresh.a.n, trained.a.n) == (1225, 3673)
    assert (fresh.a.value, fresh.b.value) == pytest.approx((0.7272, 0.7310), abs=1e-4)
    assert fresh.difference is not None and fresh.difference.estimate == pytest.approx(0.0038, abs=5e-5)
    few = RowSplit("abcdef", frozenset(range(4898)) - frozenset(held_out.tolist()[:99]))
    fresh, _ = by_training(Rule(), rows, lambda: [few, None])
    assert fresh.difference is None and "99 of 100" in fresh.note, "the gates of all pairs"
    fresh, _ = by_training(Rule(), rows, lambda: [split, None], "One reward is 43 % of all.")
    assert fresh.difference is None and fresh.note == "One reward is 43 % of all."
    said = learned(by_training(Rule(), rows, lambda: [split, None]), 300)
    assert said.startswith("3,673 of the replayed rows were used to train A or B, of 300 rows of other data it is not")
    assert by_training(Rule(), rows, lambda: [RowSplit("other", split.training)]) == (), "trained on another file"
    assert replay_rows(world.store.ledger, [record], MOST_PAIRS + 1) == [], "too many to read"


def test_rewards_that_differ_in_the_last_bits_are_the_same_in_parts_too(world: World):
    """The same model in both arms may answer otherwise in the last bit; then no difference is a few heavy rows."""
    record = world.replay(BOUNDED, digest="abc")
    earned = {"a": 0.3, "b": 0.1 + 0.2}
    assert earned["a"] != earned["b"]
    world.store.record_outcomes(
        [
            outcome(row, arm, record.id, segment=PAIRED, paired=True, reward=reward + row * (arm == "b"))
            for row in (0, 1)
            for arm, reward in earned.items()
        ]
    )
    (rows,) = replay_rows(world.store.ledger, [record], 2)
    assert (rows.reward_b - rows.reward_a).tolist() == [0.0, pytest.approx(1.0)]


def test_rows_not_learned_get_no_interval_under_the_tutorials_reward(world: World):
    record = world.replay(TUTORIAL, digest="abc")
    world.pairs(record, TUTORIAL, shuffled(4898))
    split = RowSplit("abcdef", frozenset(range(4898)) - frozenset(held_out_rows().tolist()))
    rows = replay_rows(world.store.ledger, [record], 4898)
    found = by_training(Rule(reward=TUTORIAL), rows, lambda: [split, None])
    assert [row.difference for row in found] == [None, None]
    assert all("Use a bounded reward" in row.note for row in found)
    assert "no interval is shown" in learned(found)


def test_slices_are_looked_for_in_the_file_that_was_replayed(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    digest = load_dataset("wine-quality").digest
    world.pairs(world.replay(BOUNDED, digest=digest), BOUNDED, shuffled(4898))
    found = world.verdicts.assess("seldon", "wine")
    assert "11 features of 4,898 rows" in found.slices_note
    assert all(part.n >= 50 and (part.apart or (part.side and part.q <= 0.05)) for part in found.slices)
    assert [part.shrunk for part in found.slices] == sorted(part.shrunk for part in found.slices)


def test_no_part_is_named_where_all_rows_have_no_interval(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=TUTORIAL), note=NOTE)
    digest = load_dataset("wine-quality").digest
    world.pairs(world.replay(TUTORIAL, digest=digest), TUTORIAL, shuffled(4898))
    found = world.verdicts.assess("seldon", "wine")
    assert found.slices == () and found.paired is not None and found.paired.interval is None
    assert found.slices_note.startswith("Parts of the rows are not compared") and "bounded reward" in found.slices_note


def test_a_file_that_has_changed_since_is_not_sliced(world: World):
    world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    world.pairs(world.replay(BOUNDED, digest="another"), BOUNDED, shuffled(400))
    found = world.verdicts.assess("seldon", "wine")
    assert found.slices == () and "has changed since" in found.slices_note


def test_a_test_ends_when_a_model_is_replaced(world: World):
    test = world.verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    deploy(world, "models:/m-new")
    assert world.verdicts.running("seldon", "wine") is None
    (ended,) = world.verdicts.tests("seldon", "wine")
    assert ended.id == test.id and ended.ended_why == "the model of b was replaced"


def deploy(world: World, model_b: str) -> None:
    arms = (Predictor("a", "models:/m-a", 80), Predictor("b", model_b, 20))
    Operations(world.engine, world.store).apply(Deployment("seldon", "wine", arms), note=NOTE)


def arm_sums(sent: int, slow: int) -> ArmSums:
    """An arm that answered `slow` of its requests in more than 100 ms."""
    counts = [0] * (len(LATENCY_EDGES_MS) + 1)
    counts[0], counts[-1] = sent - slow, slow
    return ArmSums(sent=sent, latency_counts=tuple(counts))


def call_of_pairs(gain: np.ndarray) -> Call:
    """The call after these differences of a paired replay."""
    ends = range(20, len(gain) + 1, 20)
    sums, none = [Sums.of(gain[end - 20 : end]) for end in ends], Sums()
    blocks = tuple(
        PairBlock(1, "a", "b", NOW, NOW, s.n, 0, 1.0, reward=s, squared_error=none, absolute_error=none, hits=none,
                  latency_ms=none)
        for s in sums
    )  # fmt: skip
    side = PairedSide((), (), blocks, ArmSums(), ArmSums())
    return decide(TEST, (), paired_strand(TEST.rule, side, None, None), None, ()).call


def call_of_traffic(earned: np.ndarray, to_b: np.ndarray) -> Call:
    """The call after these rewards of live traffic."""
    a, b = ArmSums(reward=Sums.of(earned[~to_b])), ArmSums(reward=Sums.of(earned[to_b]))
    test = replace(TEST, rule=Rule(decides=Decides.LIVE))
    return decide(test, (), None, ledger_strand(test.rule, [(a, b)], None), ()).call
