"""Late truth with everything real: gateway, model servers, command line; the right arm counts the reward, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.evidence.late import PAST_SPLIT
from tests.support.ab_test import deploy
from tests.support.counters import feedback_of
from tests.support.system import System
from tests.support.wine import TARGET, wine_frame

NAME = "late-truth"


def test_labels_from_a_file_reach_the_counter_of_the_arm_that_answered(
    system: System, wine_models: tuple[Path, Path], tmp_path: Path
) -> None:
    built = system.services
    deploy(built, NAME, dict(zip("ab", wine_models, strict=True)), (50, 50))
    rows = wine_frame().drop(columns=TARGET).head(5).astype(float).values.tolist()
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    request = ("predict", NAME, "--json-data", str(tmp_path / "rows.json"), "--json")
    done, pinned = system.run(*request), system.run(*request, "--predictor", "b")
    assert done.returncode == pinned.returncode == 0, done.stderr + pinned.stderr
    (answer,), (past,) = json.loads(done.stdout), json.loads(pinned.stdout)
    outcomes = built.store.outcomes("seldon", NAME)
    puids, others = ([f"{one['puid']}-{row}" for row in range(5)] for one in (answer, past))
    assert sorted(o.puid for o in outcomes if o.routed) == puids
    assert sorted((o.puid, o.predictor) for o in outcomes if not o.routed) == [(puid, "b") for puid in others]
    (arm,) = {o.predictor for o in outcomes if o.routed}
    assert feedback_of(system, NAME, "a") == feedback_of(system, NAME, "b") == (0, 0.0)

    truths = wine_frame()[TARGET].head(5).tolist()
    lines = [f"{puid},{truth}" for found in (puids, others) for puid, truth in zip(found, truths, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["puid,truth", *lines, "nobody,6"]) + "\n")
    command = ("truth", str(tmp_path / "labels.csv"), "--reward", "bounded", "--json")
    report = json.loads(system.run(*command).stdout)
    assert (report["attached"], report["fed"], report["unfed"]) == (10, 5, 0), report
    assert report["aside"] == {PAST_SPLIT: 5}
    assert report["unknown_puids"] == ["nobody"]
    expected = sum(1 / (1 + (y - f) ** 2) for y, f in zip(truths, answer["values"], strict=True))
    assert feedback_of(system, NAME, arm) == (5, pytest.approx(expected))
    assert feedback_of(system, NAME, "b" if arm == "a" else "a") == (0, 0.0)
    (block,) = [b for b in built.store.ledger.blocks("seldon", NAME) if b.segment == "a=50,b=50"]
    assert block.reward.total == pytest.approx(expected) and block.feedback_failed == 0

    again = json.loads(system.run(*command).stdout)
    assert (again["kept"], again["attached"], again["fed"]) == (10, 0, 0)
    assert feedback_of(system, NAME, arm)[0] == 5
