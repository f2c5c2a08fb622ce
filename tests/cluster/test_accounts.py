"""The accounts of manifests/decant on a real API server, each by itself: what it has is what it uses, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import yaml

from scripts.rendered_manifests import DECANT
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.routes import Ingress
from services.deployments.kubernetes.seldon import core, item
from services.domain import ChangeNote, Split
from services.errors import Forbidden
from tests.support.accounts import (
    ACCOUNTS,
    DASHBOARD,
    SENDER,
    WORKER,
    Account,
    Right,
    assert_used,
    engine_of,
    give,
    rights_of,
    wine,
)
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "b looks better")
INGRESSES: tuple[Ingress, ...] = ("none", "istio", "ambassador")
NO_AUDIT = "a cluster of DECANT_TEST_KUBECONFIG does not tell what an account asked of it"
OUTSIDE = [
    ("GET", "services/wine-a:8000/proxy/api/v1.0/metadata"),
    ("POST", "services/wine-a:8000/proxy/api/v1.0/predictions"),
]


@pytest.fixture
def changing(
    looking: dict[str, frozenset[Right]], accounts: dict[str, Account], cluster: TestCluster, namespace: str, home: str
) -> dict[str, frozenset[Right]]:
    """The same where nobody signs in."""
    roles = give(cluster, "rights/without-sign-in", namespace, home)
    lead = yaml.safe_load((DECANT / "rights" / "lead.yaml").read_text())["rules"]
    given = {DASHBOARD: rights_of(lead), WORKER: roles["decant-worker-changes"], SENDER: frozenset[Right]()}
    found = {name: looking[name] | given[name] for name in ACCOUNTS}
    for name, account in accounts.items():
        account.wait_for(found[name], namespace)
    return found


def make_pod(cluster: TestCluster, namespace: str) -> None:
    """Arm a's, whose log can be asked for."""
    metadata = {"name": "wine-a-0-classifier-6d5f-abcde", "labels": {"app.kubernetes.io/managed-by": "seldon-core"}}
    spec = {"containers": [{"name": "classifier", "image": "x"}], "automountServiceAccountToken": False}
    cluster.admin.send("POST", core(namespace, "pods"), {"metadata": metadata, "spec": spec})


@contextmanager
def engines(account: Account, namespace: str) -> Iterator[tuple[KubernetesEngine, Callable[[], None]]]:
    """An engine, and what reads the split in force from the routes of either ingress, with engines of its own."""
    with ExitStack() as stack:
        engine, *others = (stack.enter_context(engine_of(account, namespace, one)) for one in INGRESSES)

        def read_routes() -> None:
            for one in others:
                assert "cannot be" not in one.get(namespace, "wine").message

        yield engine, read_routes


@pytest.fixture
def audited(cluster: TestCluster) -> None:
    if cluster.audit is None:
        pytest.skip(NO_AUDIT)


def test_the_dashboard_uses_all_that_it_may_and_needs_no_more(
    audited: None,
    accounts: dict[str, Account],
    changing: dict[str, frozenset[Right]],
    cluster: TestCluster,
    operator: StatusOperator,
    namespace: str,
) -> None:
    account, deployment = accounts[DASHBOARD], wine(namespace)
    begun = account.mark()
    with engines(account, namespace) as (engine, read_routes):
        assert "traffic: 80" in engine.preview(deployment, note=ADA)
        engine.preflight(deployment, {}, note=ADA)
        engine.apply(deployment, note=ADA)
        wait_until(lambda: engine.get(namespace, "wine").settled, what="the deployment to settle")
        read_routes()
        make_pod(cluster, namespace)
        engine.set_traffic(namespace, "wine", Split.of({"a": 60, "b": 40}), note=ADA)
        engine.apply(deployment, note=ADA)
        read_routes()
        assert [status.deployment.name for status in engine.list()] == ["wine"]
        assert "cannot be" not in engine.get(namespace, "wine").message
        wait_until(
            lambda: any("ada" in e.message and "traffic" in e.message for e in engine.events(namespace, "wine")),
            what="the Event that says who moved the split",
        )
        with engine_of(account, namespace) as late:  # whose first look sees the pod
            late.logs(namespace, "wine", "a")
        engine.delete(namespace, "wine", note=ADA)
        wait_until(lambda: engine.list() == [], what="the deployment to be gone")
        assert_used(account, namespace, begun, changing[DASHBOARD])


def test_the_worker_uses_all_that_it_may_and_needs_no_more(
    audited: None,
    accounts: dict[str, Account],
    changing: dict[str, frozenset[Right]],
    operator: StatusOperator,
    namespace: str,
) -> None:
    """A publication that creates a deployment, a decision that changes it, a replay that looks where it is."""
    account, deployment = accounts[WORKER], wine(namespace)
    begun = account.mark()
    with engines(account, namespace) as (engine, read_routes):
        engine.apply(deployment, note=ADA)
        wait_until(lambda: engine.get(namespace, "wine").settled, what="the deployment to settle")
        read_routes()
        engine.apply(deployment.with_split(Split.of({"a": 50, "b": 50})), note=ADA)
        read_routes()
        assert "cannot be" not in engine.get(namespace, "wine").message
        assert engine.endpoint(namespace, "wine", "a").predictor == "a"
        with pytest.raises(Forbidden):
            engine.delete(namespace, "wine", note=ADA)
        with pytest.raises(Forbidden):
            engine.events(namespace, "wine")
        tried = frozenset({("machinelearning.seldon.io", "seldondeployments", "delete"), ("", "events", "list")})
        assert_used(account, namespace, begun, changing[WORKER], refused=tried)


def test_a_sender_uses_all_that_it_may_and_needs_no_more(
    audited: None,
    accounts: dict[str, Account],
    changing: dict[str, frozenset[Right]],
    cluster: TestCluster,
    operator: StatusOperator,
    namespace: str,
) -> None:
    """A replay that looks where each arm is and which split is in force."""
    account = accounts[SENDER]
    with engine_of(accounts[DASHBOARD], namespace) as leads:
        leads.apply(wine(namespace), note=ADA)
    begun = account.mark()
    with engines(account, namespace) as (engine, read_routes):
        assert "cannot be" not in engine.get(namespace, "wine").message
        read_routes()
        assert engine.endpoint(namespace, "wine", "a").predictor == "a"
        with pytest.raises(Forbidden):
            engine.set_traffic(namespace, "wine", Split.of({"a": 50, "b": 50}), note=ADA)
        tried = frozenset({("machinelearning.seldon.io", "seldondeployments", "get")})
        assert_used(account, namespace, begun, changing[SENDER], refused=tried)


@pytest.mark.parametrize("name", [DASHBOARD, WORKER])
def test_with_sign_in_an_account_changes_nothing_by_its_own_rights(
    name: str, accounts: dict[str, Account], looking: dict[str, frozenset[Right]], namespace: str
) -> None:
    with engine_of(accounts[name], namespace) as engine:
        assert engine.list() == []
        with pytest.raises(Forbidden, match="create seldondeployments"):
            engine.apply(wine(namespace), note=ADA)


@pytest.mark.parametrize("name", ACCOUNTS)
def test_an_account_is_refused_beyond(
    name: str, accounts: dict[str, Account], changing: dict[str, frozenset[Right]], namespace: str, home: str
) -> None:
    pods = core(namespace, "pods")
    beyond = [
        ("GET", core(namespace, "secrets")),
        ("GET", f"{pods}/x"),
        ("DELETE", f"{pods}/x"),
        ("POST", pods),
        ("POST", f"{pods}/x/exec"),
        ("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/x"),
        ("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments"),
        *((method, f"{core(namespace, path)}") for method, path in OUTSIDE),
        ("DELETE", f"/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments"),
        ("PATCH", f"{item(namespace, 'wine')}/status"),
        ("GET", "/apis/machinelearning.seldon.io/v1/namespaces/default/seldondeployments"),
        ("GET", f"/apis/machinelearning.seldon.io/v1/namespaces/{home}/seldondeployments"),
        ("GET", "/api/v1/namespaces"),
    ]
    if name != DASHBOARD:
        beyond += [
            ("DELETE", item(namespace, "wine")),
            ("GET", f"{pods}/x/log"),
            ("GET", core(namespace, "events")),
            ("GET", core(namespace, "resourcequotas")),
        ]
    api = accounts[name].api
    for method, path in beyond:
        with pytest.raises(Forbidden):
            api.send(method, path, {} if method in ("POST", "PATCH") else None)
    with pytest.raises(Forbidden, match="impersonate"):
        api.send("GET", item(namespace, "wine"), as_user="ada")
