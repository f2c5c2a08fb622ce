"""A reward whose average never settles is found out in tests of every size."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from services.stats import gates
from services.traffic.rewards import Reward, RewardKind
from services.verdict.model import Call, Light
from services.verdict.rule import Decides, LiveFrom, Rule
from tests.support.outcomes import outcome
from tests.support.verdict_world import check_of, open_world

UNBOUNDED = Reward(RewardKind.FORMULA, expression="1 / abs(y - y_pred)")
ROWS = 2_000


def heavy(n: int) -> np.ndarray:
    """Quantiles of a Pareto distribution with index 0.8, cut so that none makes up a tenth of the sum."""
    found: np.ndarray = np.minimum((1 - (np.arange(n) + 0.5) / n) ** (-1 / 0.8), 1_000.0)
    assert found.max() / found.sum() < gates.TOP_SHARE / 2
    return np.random.default_rng(4).permutation(found)


@pytest.mark.parametrize("most", [gates.HILL_MOST, 50])  # a tail that is a twentieth; one that is less of so many
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rewards", [heavy, lambda n: np.random.default_rng(4).exponential(size=n)])
def test_a_tail_without_a_mean_is_red_at_any_size(tmp_path: Path, monkeypatch, most: int, rewards, sign) -> None:
    monkeypatch.setattr(gates, "HILL_MOST", most)
    world = open_world(tmp_path)
    world.begin(Rule(reward=UNBOUNDED, decides=Decides.LIVE, live_from=LiveFrom.LEDGER))
    spec = {"mode": "live", "reward": UNBOUNDED.to_json(), "digest": "w"}
    replay = world.store.replays.add("seldon", "wine", spec, ROWS * 2, "done", "ann").id
    earned = sign * rewards(2 * ROWS)
    world.store.ledger.record(
        [outcome(k, "ab"[k % 2], replay, reward=float(r), at=datetime.now(UTC)) for k, r in enumerate(earned)]
    )
    found = world.assess()
    check = check_of(found, "reward")
    if rewards is heavy:
        assert (check.light, found.call) == (Light.RED, Call.DISTRUST)
        assert "tail index" in check.sentence
    else:
        assert check.light is Light.GREEN
