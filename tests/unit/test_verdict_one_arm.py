"""Rows that a replay sent to one arm: no feedback, so nothing of them in the counters; and how older ones are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from services.domain import ChangeNote, Deployment, Outcome, OutcomeStatus, Predictor
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.settings import Settings
from services.stats.sums import Sums
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from services.traffic.client import PredictionClient
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from services.truths.attaching import attach_truths
from services.verdict.ledger_side import fed_past_split
from services.verdict.model import Assessment, Check, Light
from services.verdict.reading import Sources
from services.verdict.rule import Rule
from services.verdict.service import Verdicts
from tests.support.counter_source import CounterSource
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import outcome

NOTE = ChangeNote("ann", "a test")
BOUNDED, NEGATIVE = Reward(RewardKind.BOUNDED), Reward(RewardKind.ABSOLUTE)
SPLIT = {"a": 800, "b": 200}


@dataclass
class World:
    store: EvidenceStore
    engine: MemoryEngine
    counters: CounterSource
    verdicts: Verdicts

    def live(self) -> None:
        """A live replay whose rewards are in ledger and counters alike."""
        spec = {"mode": "live", "reward": BOUNDED.to_json(), "digest": "w", "feedback": True}
        record = self.store.replays.add("seldon", "wine", spec, 1000, "done", "ann")
        rows, row = [], 0
        for arm, n in SPLIT.items():
            earned = np.linspace(0.5, 0.9, n)
            rows += [self._row(arm, record.id, row + k, reward=float(r)) for k, r in enumerate(earned)]
            row += n
            self.counters.count(arm, Sums.of(earned))
        self.store.ledger.record(rows)

    def one_arm(self, **spec: object) -> int:
        """A replay of 300 rows to b, the truths of 200 of which are not known yet."""
        stored = {"mode": "pinned", "predictor": "b", "reward": BOUNDED.to_json(), "digest": "o", **spec}
        number = self.store.replays.add("seldon", "wine", stored, 300, "done", "ann").id
        past: dict[str, object] = {"segment": "pinned:b", "routed": False}
        bare = past | {"truth": None, "reward": None}
        self.store.ledger.record([self._row("b", number, row, **(past if row < 100 else bare)) for row in range(300)])
        return number

    def attach(self, number: int) -> None:
        lines = ["puid,truth\n", *(f"r{number}-0-{row},6\n" for row in range(100, 300))]
        with closing(PredictionClient()) as client:
            report = attach_truths(self.engine, client, self.store, lines, who="ann")
        assert (report.attached, report.fed, report.unfed) == (200, 0, 0)

    def assess(self) -> Assessment:
        return self.verdicts.assess("seldon", "wine")

    @staticmethod
    def _row(arm: str, replay: int, row: int, **values: object) -> Outcome:
        return outcome(row, arm, replay, **({"at": datetime.now(UTC), "status": OutcomeStatus.OK} | values))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(state_dir=tmp_path, scrape_interval_s=1, mlflow_tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    store = EvidenceStore(open_database(f"sqlite:///{tmp_path / 'decant.db'}"))
    engine, counters = MemoryEngine(), CounterSource()
    models, runs = ModelCatalogue(settings.tracking_uri), RunCatalogue(settings.tracking_uri)
    verdicts = Verdicts(Sources(store, engine, counters, models, runs, settings))
    arms = (Predictor("a", "models:/m-a", 80), Predictor("b", "models:/m-b", 20))
    engine.apply(Deployment("seldon", "wine", arms), note=NOTE)
    made = World(store, engine, counters, verdicts)
    verdicts.start("seldon", "wine", Rule(reward=BOUNDED), note=NOTE)
    made.live()
    yield made


def light(found: Assessment, key: str) -> Check:
    return next(check for check in found.checks if check.key == key)


def test_late_truths_of_a_replay_to_one_arm_leave_the_checks_green(world: World) -> None:
    number = world.one_arm(feedback=False)
    assert light(world.assess(), "attribution").light is Light.GREEN
    world.attach(number)
    found = world.assess()
    assert light(found, "attribution").light is Light.GREEN, light(found, "attribution").sentence
    assert light(found, "feedback").light is Light.GREEN
    assert found.live is not None and found.live.n == 1000, "and its time is compared like any other"


def test_an_older_replay_to_one_arm_makes_the_checks_grey_and_leaves_its_time_out(world: World) -> None:
    number = world.one_arm()
    world.counters.count("b", Sums.of(np.full(100, 0.8)))  # what it sent then
    world.attach(number)
    found = world.assess()
    for key in ("attribution", "feedback"):
        assert light(found, key).light is Light.GREY
        assert "replay to one arm" in light(found, key).sentence and light(found, key).advice


def test_a_replay_says_in_its_record_whether_it_sends_feedback(world: World) -> None:
    def record(**spec: object) -> bool:
        return fed_past_split(world.store.replays.add("seldon", "wine", spec, 1, "done", "ann"))

    bounded, negative = BOUNDED.to_json(), NEGATIVE.to_json()
    assert record(mode="pinned", reward=bounded)
    assert not record(mode="pinned", reward=negative), "no counter takes it"
    assert not record(mode="pinned", reward=bounded, feedback=False)
    assert not record(mode="live", reward=bounded) and not record(mode="paired", reward=bounded)


@pytest.mark.parametrize(
    ("mode", "sent"), [(ReplayMode.LIVE, True), (ReplayMode.PAIRED, False), (ReplayMode.PINNED, False)]
)
def test_only_rows_that_the_split_divides_are_for_the_counters(mode: ReplayMode, sent: bool) -> None:
    assert ReplaySpec("seldon", "wine", "wine-quality", "quality", BOUNDED, mode=mode).feedback is sent
    assert not ReplaySpec("seldon", "wine", "wine-quality", "quality", NEGATIVE, mode=mode).feedback
