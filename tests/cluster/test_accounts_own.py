"""Decant's own namespace on a real API server: the worker, and only it, makes Jobs there, and nothing else."""

from __future__ import annotations

import pytest

from services.deployments.kubernetes.seldon import core, item
from services.deployments.kubernetes.sender_jobs import SenderJobs
from services.errors import Forbidden, StartFailed
from tests.support.accounts import (
    DASHBOARD,
    SENDER,
    WORKER,
    Account,
    assert_used,
    give_own,
)
from tests.support.api_server import TestCluster
from tests.support.shared_replays import POD, make_worker_pod
from tests.support.waiting import wait_until


def test_only_the_worker_may_share_a_replay_in_decants_own_namespace(
    accounts: dict[str, Account], cluster: TestCluster, home: str
) -> None:
    given = give_own(cluster, home, home)["decant-replays"]
    worker, dashboard = accounts[WORKER], accounts[DASHBOARD]
    worker.wait_for(given, home)
    assert dashboard.may(home) == accounts[SENDER].may(home) == frozenset()
    begun = worker.mark() if cluster.audit else 0
    make_worker_pod(cluster.admin, home, {})
    senders = SenderJobs(worker.api, POD, home)
    assert senders.look(7) is None
    try:
        senders.start(7, 3)
    except StartFailed as error:  # of a server before 1.24; all rights were used by then
        assert "no indexed Jobs" in str(error)
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "sender", "image": "decant"}]}}
        job = {"metadata": {"name": senders.name(7)}, "spec": {"completions": 3, "template": template}}
        worker.api.send("POST", f"/apis/batch/v1/namespaces/{home}/jobs", job)
    found = senders.look(7)
    assert found is not None and (found.name, found.shares, found.end) == ("decant-replay-7", 3, None)
    senders.remove(7)
    wait_until(lambda: senders.look(7) is None, what="the Job to be gone")
    senders.remove(7)
    if cluster.audit:
        assert_used(worker, home, begun, given)
    for ask in (
        lambda: SenderJobs(dashboard.api, POD, home).start(8, 3),
        lambda: dashboard.api.get(core(home, "pods")),
    ):
        with pytest.raises(Forbidden):
            ask()


def test_the_workers_own_role_is_refused_beyond(
    accounts: dict[str, Account], cluster: TestCluster, home: str, namespace: str
) -> None:
    accounts[WORKER].wait_for(give_own(cluster, home, home)["decant-replays"], home)
    jobs = f"/apis/batch/v1/namespaces/{home}/jobs"
    beyond = [
        ("GET", jobs),
        ("PATCH", f"{jobs}/x"),
        ("DELETE", jobs),
        ("GET", core(home, "secrets")),
        ("POST", core(home, "pods")),
        ("DELETE", f"{core(home, 'pods')}/x"),
        ("GET", f"{core(home, 'pods')}/x/log"),
        ("POST", f"{core(home, 'pods')}/x/exec"),
        ("GET", f"/apis/apps/v1/namespaces/{home}/deployments"),
        ("GET", item(home, "wine")),
        ("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/x"),
        ("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs"),
    ]
    for method, path in beyond:
        with pytest.raises(Forbidden):
            accounts[WORKER].api.send(method, path, {} if method in ("POST", "PATCH") else None)
