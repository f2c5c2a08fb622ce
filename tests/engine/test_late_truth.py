"""Late truth with everything real: gateway, model servers, command line; the right arm counts the reward, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
    request = ("predict", NAME, "--json-data", str(tmp_path / "rows.json"), "--predictor", "b", "--json")
    done = system.run(*request)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    outcomes = built.store.outcomes("seldon", NAME)
    puids = [f"{answer['puid']}-{row}" for row in range(5)]
    assert sorted(o.puid for o in outcomes) == puids and {o.predictor for o in outcomes} == {"b"}
    assert feedback_of(system, NAME, "b") == (0, 0.0)

    truths = wine_frame()[TARGET].head(5).tolist()
    lines = [f"{puid},{truth}" for puid, truth in zip(puids, truths, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["puid,truth", *lines, "nobody,6"]) + "\n")
    command = ("truth", str(tmp_path / "labels.csv"), "--reward", "bounded", "--json")
    report = json.loads(system.run(*command).stdout)
    assert (report["attached"], report["fed"], report["unfed"]) == (5, 5, 0), report
    assert report["unknown_puids"] == ["nobody"]
    expected = sum(1 / (1 + (y - f) ** 2) for y, f in zip(truths, answer["values"], strict=True))
    assert feedback_of(system, NAME, "b") == (5, pytest.approx(expected))
    assert feedback_of(system, NAME, "a") == (0, 0.0)
    (block,) = built.store.ledger.blocks("seldon", NAME)
    assert block.reward.total == pytest.approx(expected) and block.feedback_failed == 0

    again = json.loads(system.run(*command).stdout)
    assert (again["kept"], again["attached"], again["fed"]) == (5, 0, 0)
    assert feedback_of(system, NAME, "b")[0] == 5
