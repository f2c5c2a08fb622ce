"""Each test of this ring has a namespace of its own, and an engine that may use nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from tests.support.accounts import ACCOUNTS, LOOKS, Account, Right, give, make_account
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


@pytest.fixture
def home(cluster: TestCluster) -> str:
    """Decant's own namespace."""
    return cluster.namespace()


@pytest.fixture
def accounts(cluster: TestCluster, home: str, tmp_path: Path) -> dict[str, Account]:
    return {name: make_account(cluster, name, home, tmp_path) for name in ACCOUNTS}


@pytest.fixture
def looking(
    accounts: dict[str, Account], cluster: TestCluster, namespace: str, home: str
) -> dict[str, frozenset[Right]]:
    """The rights of each account in a namespace with deployments, as with sign-in, and in force."""
    roles = give(cluster, "rights", namespace, home)
    found = {name: frozenset().union(*(roles[role] for role in LOOKS[name])) for name in ACCOUNTS}
    for name, account in accounts.items():
        account.wait_for(found[name], namespace)
    return found
