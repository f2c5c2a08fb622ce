"""Which cluster a decision was begun on: the same for everybody who may look, whatever address they use."""

from __future__ import annotations

import pytest
import yaml

from scripts.rendered_manifests import DECANT
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.health import identity
from services.errors import Forbidden
from tests.support.api_server import TestCluster
from tests.support.waiting import wait_until


def test_a_cluster_is_known_by_its_system_namespace(cluster: TestCluster) -> None:
    found = identity(cluster.admin)
    assert found.key == f"cluster/{cluster.admin.get('/api/v1/namespaces/kube-system')['metadata']['uid']}"
    assert cluster.admin.address in found.words


def test_for_an_account_that_may_not_read_that_it_is_its_address(cluster: TestCluster) -> None:
    if not cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG has no account without rights to test with")
    restricted = Cluster(str(cluster.users["bob"]))
    assert identity(restricted).key == f"cluster/{restricted.address}"
    assert identity(restricted, "north").key == "cluster/north"


def test_what_the_base_gives_is_enough_to_know_it(cluster: TestCluster) -> None:
    if not cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG has no account without rights to test with")
    rbac, ada = "/apis/rbac.authorization.k8s.io/v1", Cluster(str(cluster.users["ada"]))
    made = []
    try:
        for found in yaml.safe_load_all((DECANT / "base" / "identity.yaml").read_text()):
            if "subjects" in found:
                found["subjects"] = [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}]
            plural = f"{found['kind'].lower()}s"
            cluster.admin.send("POST", f"{rbac}/{plural}", found)
            made.append(f"{rbac}/{plural}/{found['metadata']['name']}")
        wait_until(lambda: identity(ada).key == identity(cluster.admin).key, what="the new right to count")
        with pytest.raises(Forbidden):
            ada.get("/api/v1/namespaces/default")
    finally:
        for path in made:
            cluster.admin.send("DELETE", path)
