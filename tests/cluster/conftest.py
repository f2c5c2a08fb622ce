"""Each test of this ring has a namespace of its own, and an engine that may use nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator


@pytest.fixture
def namespace(cluster: TestCluster) -> str:
    return cluster.namespace()


@pytest.fixture
def engine(cluster: TestCluster, operator: StatusOperator, namespace: str) -> Iterator[KubernetesEngine]:
    found = KubernetesEngine(cluster.options(namespace))
    yield found
    found.close()
