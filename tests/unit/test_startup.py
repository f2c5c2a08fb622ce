"""Every planted failure is named with its remedy, and what goes well is not spoken of: on recorded starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.deployments.kubernetes.stamped import stamped
from services.deployments.kubernetes.starting import Seen
from services.deployments.kubernetes.starting import startup_of as on_cluster
from services.deployments.local_start import startup_of as on_machine
from services.domain import Phase, PredictorStatus, Startup, Step, StepState
from services.startup.catalogue import BESIDE, CATALOGUE
from services.startup.recognise import Traces, recognise

FOLDER = Path(__file__).parent / "startups"


def recorded(name: str) -> list[Any]:
    return [pytest.param(case, id=case["what"]) for case in yaml.safe_load((FOLDER / name).read_text())]


def on_the_cluster(case: dict[str, Any]) -> Startup:
    pods, log = [case["pod"]] if case["pod"] else [], stamped(case["log"].splitlines())
    more = {key: case[key] for key in ("refused", "stuck", "secret", "given_up") if key in case}
    seen = Seen(pods, case["events"], log, **more)
    return on_cluster("b", seen, ready=case.get("ready", False), budget_s=None)


def on_this_machine(case: dict[str, Any]) -> Startup:
    status = PredictorStatus("b", Phase(case["phase"]), 0, 1, case.get("reason", ""))
    return on_machine(status, case["log"].splitlines(), port=8101, budget_s=120)


def check(case: dict[str, Any], found: Startup) -> None:
    diagnosis = found.diagnosis
    assert (diagnosis.key if diagnosis else None) == case["key"]
    assert current(found) == case["step"]
    if diagnosis is None:
        return
    for words in case.get("says", []):
        assert words in diagnosis.what
    for words in case.get("unsaid", []):
        assert words not in diagnosis.what
    for words in case.get("remedy", []):
        assert words in diagnosis.remedy
    assert diagnosis.budget_s == case.get("budget_s")
    assert "…" not in diagnosis.what
    assert "{" not in diagnosis.what + diagnosis.remedy
    failed = [s.step.value for s in found.steps if s.state is StepState.FAILED]
    assert failed == [case.get("failed", case["step"])]


def current(found: Startup) -> str:
    """The step that failed or is under way; the last when all is done."""
    return next((s for s in found.steps if s.state is not StepState.DONE), found.steps[-1]).step.value


@pytest.mark.parametrize("case", recorded("kubernetes.yaml"))
def test_on_a_cluster(case: dict[str, Any]) -> None:
    check(case, on_the_cluster(case))


@pytest.mark.parametrize("case", recorded("local.yaml"))
def test_on_one_machine(case: dict[str, Any]) -> None:
    check(case, on_this_machine(case))


def test_every_known_failure_is_planted_somewhere() -> None:
    planted = {case.values[0]["key"] for name in ("kubernetes.yaml", "local.yaml") for case in recorded(name)}
    assert {known.key for known in (*CATALOGUE, *BESIDE)} - planted == set()


def test_the_timeline_on_a_cluster_has_begins_and_lengths() -> None:
    healthy = recorded("kubernetes.yaml")[0].values[0]
    found = on_the_cluster(healthy)
    assert found.ready
    assert [(s.step, s.took_s) for s in found.steps] == [
        (Step.SCHEDULED, 1.0),
        (Step.DOWNLOAD, 12.0),
        (Step.ENVIRONMENT, 361.0),
        (Step.LOAD, 20.0),
        (Step.READY, 0.0),
    ]
    environment = found.step(Step.ENVIRONMENT)
    assert environment is not None
    assert environment.began == datetime(2026, 11, 2, 10, 0, 19, tzinfo=UTC)
    assert found.log_tail[0] == "Executing before-run script"


def test_the_timeline_on_one_machine_has_lengths_in_the_order_of_its_steps() -> None:
    found = on_this_machine(recorded("local.yaml")[0].values[0])
    assert found.ready
    assert [s.step for s in found.steps] == [Step.SCHEDULED, Step.ENVIRONMENT, Step.DOWNLOAD, Step.LOAD, Step.READY]
    assert [s.took_s for s in found.steps[1:4]] == [3.0, 0.5, 0.5]


def test_restarts_are_counted_in_the_step_that_they_interrupt() -> None:
    crashing = next(c.values[0] for c in recorded("kubernetes.yaml") if c.values[0]["key"] == "probe-during-build")
    environment = on_the_cluster(crashing).step(Step.ENVIRONMENT)
    assert environment is not None
    assert environment.note == "restarted 4 times"


def test_passwords_in_the_evidence_are_hidden() -> None:
    found = recognise(Traces(log=["dial tcp http://me:secret@store:9000: i/o timeout"]))
    assert found is not None
    assert "secret" not in found.evidence


def test_there_is_no_larger_budget_than_the_largest() -> None:
    case = next(c.values[0] for c in recorded("local.yaml") if c.values[0]["key"] == "budget-spent")
    status = PredictorStatus("b", Phase.FAILED, 0, 1, case["reason"].replace("120", "7200"))
    found = on_machine(status, case["log"].splitlines(), port=1, budget_s=7200)
    assert found.diagnosis is not None
    assert found.diagnosis.budget_s is None
