"""What every engine promises, told once and checked on each: in memory, on this machine, on Kubernetes with a
stand-in API server (tests/support/kube_server.py), and on a real one where there is one (api_server.py there)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from services.deployments.engine import Engine
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.manifest import from_yaml
from services.domain import (
    ArmOption,
    ChangeNote,
    Deployment,
    DeploymentStatus,
    ModelFacts,
    Predictor,
    Provenance,
    Resources,
    Severity,
    Split,
    Step,
)
from services.errors import Conflict, InvalidDeployment, InvalidName, NotFound
from tests.support import kube_server
from tests.support.api_server import TestCluster
from tests.support.memory_engine import MemoryEngine
from tests.support.operator import StatusOperator
from tests.support.system import System
from tests.support.waiting import wait_until

READY_TIMEOUT_S = 90
NOTE = ChangeNote("ada", "the contract wants it")
_names = itertools.count()


@dataclass(frozen=True)
class Case:
    """One engine under test, the models it can load, and whether its endpoints answer."""

    engine: Engine
    model_a: str
    model_b: str
    serves: bool
    namespace: str = "contract"


@pytest.fixture(scope="module", params=["memory", "local", "kubernetes-stand-in", "kubernetes"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "memory":
        yield Case(MemoryEngine(), "models:/m-a", "models:/m-b", serves=False)
    elif request.param == "local":
        system: System = request.getfixturevalue("system")
        folders: tuple[Path, Path] = request.getfixturevalue("wine_models")
        yield Case(system.services.engine, str(folders[0]), str(folders[1]), serves=True)
    elif request.param == "kubernetes-stand-in":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("stand-in")
        with kube_server.running(folder) as stand_in, StatusOperator(stand_in.admin):
            yield from kubernetes_case(stand_in)
    else:
        request.getfixturevalue("operator")
        yield from kubernetes_case(request.getfixturevalue("cluster"))


def kubernetes_case(cluster: TestCluster) -> Iterator[Case]:
    engine = KubernetesEngine(cluster.options())
    yield Case(engine, "s3://models/a", "s3://models/b", serves=False, namespace=cluster.namespace())
    engine.close()


@pytest.fixture
def deployment(case: Case) -> Iterator[Deployment]:
    """A deployment with two arms, 80 to 20, under a name of its own; deleted afterwards."""
    wanted = Deployment(
        case.namespace,
        f"wine-{next(_names)}",
        (
            Predictor("a", case.model_a, traffic=80, provenance=Provenance(run_id="r1", run_name="first")),
            Predictor("b", case.model_b, traffic=20),
        ),
    )
    yield wanted
    try:
        case.engine.delete(wanted.namespace, wanted.name, note=NOTE)
    except NotFound:
        return


def settled(case: Case, deployment: Deployment) -> DeploymentStatus:
    """Its status once everything asked for is so."""

    def status() -> DeploymentStatus | None:
        found = case.engine.get(deployment.namespace, deployment.name)
        return found if found.settled else None

    found = wait_until(status, timeout_s=READY_TIMEOUT_S, what=f"{deployment.key} to settle")
    assert found is not None
    return found


def test_what_was_applied_comes_back(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    status = settled(case, deployment)
    assert replace(status.deployment, annotations=()) == deployment
    assert status.requested == Split.of({"a": 80, "b": 20})
    assert status.in_force == status.requested
    assert status.changed_by == "ada"
    assert [p.ready for p in status.predictors] == [1, 1]
    assert deployment.key in [s.deployment.key for s in case.engine.list(case.namespace)]
    assert case.engine.list("another-namespace") == []


def test_a_split_moves_and_is_read_back(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    before = settled(case, deployment)
    wanted = Split.of({"a": 35, "b": 65})
    after = case.engine.set_traffic(
        deployment.namespace, deployment.name, wanted, note=NOTE, expected_version=before.version
    )
    assert after.requested == wanted
    assert after.in_force == wanted
    assert after.version != before.version
    assert replace(after.deployment.predictor("a"), traffic=80) == deployment.predictor("a")


@pytest.mark.parametrize("shares", [{"a": 100, "b": 0}, {"a": 0, "b": 100}])
def test_all_traffic_may_go_to_one_arm(case: Case, deployment: Deployment, shares: dict[str, int]) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    after = case.engine.set_traffic(deployment.namespace, deployment.name, Split.of(shares), note=NOTE)
    assert after.in_force == Split.of(shares)


def test_a_stale_writer_is_refused_and_told_who_was_first(case: Case, deployment: Deployment) -> None:
    old = case.engine.apply(deployment, note=NOTE)
    case.engine.apply(deployment.with_split(Split.of({"a": 50, "b": 50})), note=ChangeNote("grace", "faster"))
    with pytest.raises(Conflict, match="grace"):
        case.engine.apply(deployment, note=NOTE, expected_version=old.version)
    with pytest.raises(Conflict, match="grace"):
        case.engine.set_traffic(
            deployment.namespace,
            deployment.name,
            Split.of({"a": 1, "b": 99}),
            note=NOTE,
            expected_version=old.version,
        )
    assert case.engine.get(deployment.namespace, deployment.name).requested == Split.of({"a": 50, "b": 50})


def test_new_means_new(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE, expected_version="")
    with pytest.raises(Conflict):
        case.engine.apply(deployment, note=NOTE, expected_version="")


def test_a_dry_run_changes_nothing(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE, dry_run=True)
    with pytest.raises(NotFound):
        case.engine.get(deployment.namespace, deployment.name)


def test_the_preview_is_the_manifest(case: Case, deployment: Deployment) -> None:
    read = from_yaml(case.engine.preview(deployment, note=NOTE))
    assert replace(read, annotations=()) == deployment
    with pytest.raises(NotFound):
        case.engine.get(deployment.namespace, deployment.name)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"a": 70, "b": 20}, "sums to 90"),
        ({"a": 120, "b": -20}, "not within 0 to 100"),
    ],
)
def test_a_split_that_seldon_refuses_is_refused(
    case: Case, deployment: Deployment, broken: dict[str, int], words: str
) -> None:
    case.engine.apply(deployment, note=NOTE)
    with pytest.raises(InvalidDeployment, match=words):
        case.engine.set_traffic(deployment.namespace, deployment.name, Split.of(broken), note=NOTE)
    with pytest.raises(InvalidDeployment, match=words):
        case.engine.apply(deployment.with_split(Split.of(broken)), note=NOTE)


def test_bad_names_are_refused(case: Case, deployment: Deployment) -> None:
    with pytest.raises(InvalidName, match="My Wine"):
        case.engine.apply(replace(deployment, name="My Wine"), note=NOTE)
    with pytest.raises(InvalidName, match=r"\.\./x"):
        case.engine.apply(replace(deployment, namespace="../x"), note=NOTE)


def test_what_does_not_exist_is_said_to(case: Case) -> None:
    for ask in (
        lambda: case.engine.get(case.namespace, "nothing"),
        lambda: case.engine.delete(case.namespace, "nothing", note=NOTE),
        lambda: case.engine.endpoint(case.namespace, "nothing"),
        lambda: case.engine.logs(case.namespace, "nothing", "a"),
        lambda: case.engine.events(case.namespace, "nothing"),
        lambda: case.engine.set_traffic(case.namespace, "nothing", Split.of({"a": 100}), note=NOTE),
    ):
        with pytest.raises(NotFound, match="nothing"):
            ask()


def test_an_unknown_predictor_is_named_with_those_there_are(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    with pytest.raises(NotFound, match="a, b"):
        case.engine.endpoint(deployment.namespace, deployment.name, "c")
    with pytest.raises(NotFound, match="a, b"):
        case.engine.logs(deployment.namespace, deployment.name, "c")


def test_deleted_means_gone(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    case.engine.delete(deployment.namespace, deployment.name, note=NOTE)

    def gone() -> bool:
        return deployment.key not in [s.deployment.key for s in case.engine.list(case.namespace)]

    wait_until(gone, timeout_s=READY_TIMEOUT_S, what=f"{deployment.key} to be gone")
    with pytest.raises(NotFound):
        case.engine.get(deployment.namespace, deployment.name)


def test_events_tell_the_story(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    case.engine.set_traffic(deployment.namespace, deployment.name, Split.of({"a": 60, "b": 40}), note=NOTE)

    def told() -> bool:
        events = case.engine.events(deployment.namespace, deployment.name)
        assert [e.at for e in events] == sorted(e.at for e in events)
        return any("60" in e.message for e in events)

    wait_until(told, what="an event about the moved split")


def test_a_start_is_told_step_by_step(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    found = case.engine.startup(deployment.namespace, deployment.name, "b")
    assert found.predictor == "b"
    assert sorted(s.step for s in found.steps) == sorted(Step)
    assert found.diagnosis is None
    assert found.budget_s is not None
    if case.serves:  # the stand-in for Seldon's operator makes no pods to tell of
        assert found.ready
        assert all(s.took_s is not None for s in found.steps[1:-1])
    with pytest.raises(NotFound, match="a, b"):
        case.engine.startup(deployment.namespace, deployment.name, "c")
    with pytest.raises(NotFound, match="nothing"):
        case.engine.startup(case.namespace, "nothing", "a")


def test_a_start_budget_comes_back(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    before = settled(case, deployment)
    longer = tuple(replace(p, start_budget_s=600 if p.name == "b" else None) for p in deployment.predictors)
    case.engine.apply(replace(deployment, predictors=longer), note=NOTE, expected_version=before.version)
    settled(case, deployment)
    assert case.engine.startup(deployment.namespace, deployment.name, "b").budget_s == 600
    assert case.engine.startup(deployment.namespace, deployment.name, "a").budget_s != 600


def test_what_an_arm_is_given_beside_its_model_comes_back_and_goes_again(case: Case, deployment: Deployment) -> None:
    """An engine says what of it it makes use of; what it does not use it keeps, so that nothing is lost on the way."""
    assert case.engine.arm_options <= set(ArmOption)
    a, b = deployment.predictors
    given = replace(b, env_secret="store", start_budget_s=600, resources=Resources("250m", "512Mi", "2", "1Gi"))
    case.engine.apply(replace(deployment, predictors=(a, given)), note=NOTE)
    assert case.engine.get(deployment.namespace, deployment.name).deployment.predictors == (a, given)
    less = replace(b, start_budget_s=900, resources=Resources(memory_limit="2Gi"))
    case.engine.apply(replace(deployment, predictors=(a, less)), note=NOTE)
    assert case.engine.get(deployment.namespace, deployment.name).deployment.predictors == (a, less)
    case.engine.apply(deployment, note=NOTE)
    assert case.engine.get(deployment.namespace, deployment.name).deployment.predictors == (a, b)


def test_endpoints_answer_through_the_split_and_pinned(case: Case, deployment: Deployment) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    row = {"data": {"names": [], "ndarray": [[7.0, 0.27, 0.36, 20.7, 0.045, 45.0, 170.0, 1.001, 3.0, 0.45, 8.8]]}}
    pinned = case.engine.endpoint(deployment.namespace, deployment.name, "b")
    free = case.engine.endpoint(deployment.namespace, deployment.name)
    assert free != pinned
    assert not free.url.endswith("/")
    assert not pinned.url.endswith("/")
    if not case.serves:
        return
    for endpoint, arms in ((pinned, {"b"}), (free, {"a", "b"})):
        answer = httpx.post(f"{endpoint.url}/api/v1.0/predictions", json=row, headers=dict(endpoint.headers))
        assert answer.status_code == 200
        assert answer.headers["x-decant-predictor"] in arms


def test_moving_the_split_restarts_nothing(case: Case, deployment: Deployment, request: pytest.FixtureRequest) -> None:
    case.engine.apply(deployment, note=NOTE)
    settled(case, deployment)
    if not case.serves:
        return
    system: System = request.getfixturevalue("system")

    def pids() -> set[int]:
        wanted = f".{deployment.name}."
        return {p.pid for part in system.parts() if wanted in part for p in system.processes(part)}

    before = pids()
    assert len(before) == 2
    case.engine.set_traffic(deployment.namespace, deployment.name, Split.of({"a": 10, "b": 90}), note=NOTE)
    settled(case, deployment)
    assert pids() == before


def test_a_pre_flight_check_changes_nothing_and_speaks_of_arms_there_are(case: Case, deployment: Deployment) -> None:
    facts = {"a": ModelFacts(case.model_a, ("python_function",))}
    found = case.engine.preflight(deployment, facts, note=NOTE)
    assert {f.predictor for f in found} <= {"", "a", "b"}
    assert all(f.what and f.topic for f in found)
    assert all(f.mend for f in found if f.severity is not Severity.FINE)
    with pytest.raises(NotFound):
        case.engine.get(deployment.namespace, deployment.name)
