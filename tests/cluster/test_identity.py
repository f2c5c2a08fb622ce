"""Which cluster a decision was begun on: the same for everybody who may look, whatever address they use."""

from __future__ import annotations

import pytest

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.health import identity
from tests.support.api_server import TestCluster


def test_a_cluster_is_known_by_its_system_namespace(cluster: TestCluster) -> None:
    found = identity(cluster.admin)
    assert found.key == f"cluster/{cluster.admin.get('/api/v1/namespaces/kube-system')['metadata']['uid']}"
    assert cluster.admin.address in found.words


def test_for_an_account_that_may_not_read_that_it_is_its_address(cluster: TestCluster) -> None:
    if not cluster.users:
        pytest.skip("the cluster of DECANT_TEST_KUBECONFIG has no account without rights to test with")
    restricted = Cluster(str(cluster.users["bob"]))
    assert identity(restricted).key == f"cluster/{restricted.address}"
