"""What manifests/decant gives to people on a real API server: leads who sign in, and users from outside the cluster."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from scripts.rendered_manifests import DECANT
from services.deployments.kubernetes.engine import KubernetesEngine
from services.domain import ChangeNote, Split
from services.errors import Forbidden
from tests.support.accounts import (
    DASHBOARD,
    RBAC,
    WORKER,
    Account,
    Right,
    bind,
    engine_of,
    give,
    wine,
)
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "b looks better")


@pytest.fixture
def impersonating(cluster: TestCluster, home: str) -> Iterator[None]:
    """What the sign-in component gives, for the leads ada and bob."""
    name = f"impersonate-{secrets.token_hex(4)}"
    for found in yaml.safe_load_all((DECANT / "components" / "sign-in" / "impersonate.yaml").read_text()):
        found["metadata"]["name"] = name
        if "rules" in found:
            assert found["rules"][0]["resourceNames"], "an empty list is everybody"
            found["rules"][0]["resourceNames"] = ["ada", "bob"]
        if "roleRef" in found:
            found["roleRef"]["name"] = name
            for subject in found["subjects"]:
                subject["namespace"] = home
        cluster.admin.send("POST", f"{RBAC}/{found['kind'].lower()}s", found)
    yield
    for plural in ("clusterroles", "clusterrolebindings"):
        cluster.admin.send("DELETE", f"{RBAC}/{plural}/{name}")


@pytest.mark.parametrize("name", [DASHBOARD, WORKER])
def test_with_sign_in_changes_are_made_with_the_leads_rights(
    name: str,
    accounts: dict[str, Account],
    looking: dict[str, frozenset[Right]],
    impersonating: None,
    cluster: TestCluster,
    namespace: str,
    operator: StatusOperator,
) -> None:
    bind(cluster, namespace, "decant-lead", "ada")
    deployment = wine(namespace)
    with engine_of(accounts[name], namespace, impersonate=True) as engine:
        wait_until(lambda: allowed(lambda: engine.apply(deployment, note=ADA)), what="ada to be let in")
        wait_until(lambda: engine.get(namespace, "wine").settled, what="the deployment to settle")
        engine.set_traffic(namespace, "wine", Split.of({"a": 60, "b": 40}), note=ADA)
        with pytest.raises(Forbidden, match="bob"):
            engine.apply(deployment, note=ChangeNote("bob", "me too"))
        with pytest.raises(Forbidden, match="act for eve@") as refused:
            engine.apply(deployment, note=ChangeNote("eve@example.com", "me too"))
        assert "adds eve@example.com to resourceNames of the ClusterRole decant-impersonate" in refused.value.hint
        assert "--verb=impersonate --resource=users --resource-name=eve@example.com" in refused.value.hint
        engine.delete(namespace, "wine", note=ADA)


def test_from_outside_one_needs_the_proxy_too(cluster: TestCluster, namespace: str, home: str, tmp_path: Path) -> None:
    """The Roles that docs/kubernetes.md names, bound to a person."""
    if not cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG has no account without rights to test with")
    roles = give(cluster, "rights", namespace, home)
    give(cluster, "rights/outside", namespace, home)
    bind(cluster, namespace, "decant-dashboard", "bob")
    bind(cluster, namespace, "decant-lead", "bob")
    bob = Account(cluster, "bob", "", cluster.users["bob"])
    bob.wait_for(roles["decant-dashboard"] | roles["decant-lead"], namespace)
    with engine_of(bob, namespace) as engine:
        (finding,) = told(engine, namespace, "may not")
        assert "create services/proxy" in finding and "from outside the cluster" in finding
        bind(cluster, namespace, "decant-outside", "bob")
        wait_until(lambda: not told(engine, namespace, "may not"), what="bob to be let through")
        assert told(engine, namespace, "suffice")


def told(engine: KubernetesEngine, namespace: str, words: str) -> list[str]:
    """What pre-flight says of rights, as far as it has these words."""
    found = engine.preflight(wine(namespace), {}, note=ADA)
    return [finding.what for finding in found if finding.topic == "rights" and words in finding.what]


def allowed(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Forbidden:
        return False
    return True
