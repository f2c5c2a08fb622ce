"""The way from a replay to a verdict, with everything real: gateway, model servers, Prometheus, worker, ledger."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest

from services.domain import ChangeNote, Split
from services.jobs.states import JobState
from services.stats import difference
from services.stats.sums import Sums
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from services.verdict.model import Assessment, Light
from tests.support import ab_test
from tests.support.counters import feedback_of
from tests.support.system import System
from tests.support.waiting import wait_until
from tests.support.wine import TARGET, wine_frame

NAME = "verdict-wine"
BOUNDED = Reward(RewardKind.BOUNDED)
PAIRS, LIVE_ROWS = 600, 1500
PATIENCE_S = 120

pytestmark = pytest.mark.timeout(600)


def replay(
    system: System, mode: ReplayMode, rows: int, rate: float | None = None, dataset: str = "wine-quality"
) -> int:
    """Run a replay to its end; returns its number."""
    arm = "b" if mode is ReplayMode.PINNED else None
    spec = ReplaySpec(ab_test.NAMESPACE, NAME, dataset, TARGET, BOUNDED, mode=mode, rows=rows, rate=rate, predictor=arm)
    number = system.services.replays.submit(spec, who="tester").id

    def done() -> bool:
        found = system.services.replays.get(number)
        assert found.state not in (JobState.FAILED, JobState.CANCELLED), found.message
        return found.state is JobState.DONE

    wait_until(done, timeout_s=PATIENCE_S, what="the replay to end")
    return number


def assess(system: System) -> Assessment:
    return system.services.verdicts.assess(ab_test.NAMESPACE, NAME)


def counted(system: System) -> int:
    """Rewards of live traffic that the interval rests on, if it is the counters'."""
    live = assess(system).live
    return live.n if live is not None and live.interval is not None and "AIPW" in live.formula else 0


def light(found: Assessment, key: str) -> Light:
    return next(check.light for check in found.checks if check.key == key)


def test_from_replays_to_a_verdict(system: System, wine_models: tuple[Path, Path], tmp_path: Path) -> None:
    ab_test.deploy(system.services, NAME, dict(zip("ab", wine_models, strict=True)), (80, 20))
    replay(system, ReplayMode.PAIRED, PAIRS)

    found = assess(system)
    frame = wine_frame().head(PAIRS)
    earned = [
        BOUNDED.of(frame[TARGET].tolist(), mlflow.pyfunc.load_model(str(model)).predict(frame.drop(columns=TARGET)))
        for model in wine_models
    ]
    expected = difference.paired(Sums.of(earned[1] - earned[0]), planned=500)
    assert found.test.rule.reward == BOUNDED, "the first replay began the test"
    assert found.paired is not None and found.paired.interval is not None
    assert found.paired.n == PAIRS
    assert found.paired.mean_a == pytest.approx(float(np.mean(earned[0])), rel=1e-9)
    assert found.paired.interval.estimate == pytest.approx(expected.estimate, rel=1e-6)
    assert (found.paired.interval.low > 0) == (expected.low > 0)
    assert found.live is None, "pairs are no live traffic: nothing of them reached the counters"

    replay(system, ReplayMode.LIVE, LIVE_ROWS, rate=50)  # over some thirty scrapes
    wait_until(lambda: counted(system) == LIVE_ROWS, what="the counters to hold every reward")
    found = assess(system)
    assert {key: light(found, key) for key in ("attribution", "split", "feedback", "reward", "environment")} == {
        "attribution": Light.GREEN,
        "split": Light.GREEN,
        "feedback": Light.GREEN,
        "reward": Light.GREEN,
        "environment": Light.GREEN,
    }
    assert found.paired is not None and found.paired.n == PAIRS, "and live traffic is no pair"
    assert found.decidable

    one_arm(system, tmp_path)

    note = ChangeNote("tester", "half and half")
    system.services.operations.set_traffic(ab_test.NAMESPACE, NAME, Split.of({"a": 50, "b": 50}), note=note)
    # Slow enough to outlast the time around a change of split, in which nothing counts.
    others = tmp_path / "others.csv"
    wine_frame().tail(LIVE_ROWS).to_csv(others, index=False)
    replay(system, ReplayMode.LIVE, LIVE_ROWS, rate=200, dataset=str(others))
    wait_until(lambda: counted(system) > LIVE_ROWS, what="the counters to be scraped again")
    found = assess(system)
    assert found.live is not None and found.live.adjusted_for == 1
    assert light(found, "split") is Light.GREEN, "both splits were kept, though the total fits neither"
    assert [mark.why for mark in found.marks] == ["half and half"]


def one_arm(system: System, folder: Path) -> None:
    """Rows to one arm, half of whose truths come late: the ledger has them, and no counter has moved."""
    frame = wine_frame().iloc[2000:2100].astype({TARGET: float})
    truths = frame[TARGET].tolist()
    frame.loc[frame.index[50:], TARGET] = np.nan
    path = folder / "one-arm.csv"
    frame.to_csv(path, index=False)
    before = {arm: feedback_of(system, NAME, arm) for arm in "ab"}
    number = replay(system, ReplayMode.PINNED, len(frame), dataset=str(path))
    late = folder / "late.csv"
    late.write_text("puid,truth\n" + "".join(f"r{number}-0-{row},{truths[row]}\n" for row in range(50, 100)))
    done = system.run("truth", str(late), "--json")
    report = json.loads(done.stdout)
    assert (report["attached"], report["fed"], report["unfed"]) == (50, 0, 0), done.stderr
    assert {arm: feedback_of(system, NAME, arm) for arm in "ab"} == before
    blocks = system.services.store.ledger.blocks(ab_test.NAMESPACE, NAME)
    assert sum(block.reward.n for block in blocks if block.replay == number) == 100
    found = assess(system)
    assert light(found, "attribution") is Light.GREEN and light(found, "feedback") is Light.GREEN
    assert found.live is not None and found.live.n == LIVE_ROWS
