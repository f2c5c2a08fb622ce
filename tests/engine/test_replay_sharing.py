"""A large replay, shared by a Job's pods: real senders over one PostgreSQL, killed, paused, cancelled and refused."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.datasets import ReplayDatasets
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.sender_jobs import SenderJobs
from services.domain import ChangeNote
from services.errors import Forbidden, InvalidInput
from services.evidence.database import open_database
from services.evidence.schema import leases as lease_table
from services.jobs.states import JobState
from services.settings import Settings
from services.traffic.datasets import Dataset
from services.traffic.replay import ReplayMode
from tests.support.api_server import TestCluster
from tests.support.replay_bench import ended
from tests.support.shared_replays import PATIENCE_S, POD, SHARES, SharedReplays, make_worker_pod, shared_replays
from tests.support.waiting import wait_until


@pytest.fixture
def shared(tmp_path: Path, postgres_url: str) -> Iterator[SharedReplays]:
    with shared_replays(tmp_path, postgres_url) as bench:
        yield bench


def test_the_senders_share_the_rows_and_each_is_sent_once(shared: SharedReplays) -> None:
    replay, run = shared.begin(shared.spec(rows=300))
    running = wait_until(
        lambda: found if (found := shared.jobs.get(replay.id)).senders > 1 else None,
        timeout_s=PATIENCE_S,
        what="the senders to be named",
    )
    assert running is not None and running.sent_by == f"3 senders (Job decant-replay-{replay.id})"
    done = ended(shared.jobs, replay.id, PATIENCE_S)
    assert (done.state, done.message, done.errors, done.senders) == (JobState.DONE, "", (), SHARES)
    assert done.rows_per_s > 0
    shared.assert_all_rows_once(done)
    puids = [puid for arm in shared.arms.arms.values() for puid in arm.predicted]
    assert len(puids) == 300, "a row was sent by two senders"
    assert [share.share for share in shared.store.shares.of(replay.id)] == list(range(SHARES))
    run.result(PATIENCE_S)
    job = shared.job(replay.id)
    assert job is not None and job["status"]["succeeded"] == SHARES, "the Job is left for its time to live"


def test_a_small_replay_is_sent_by_the_worker(shared: SharedReplays) -> None:
    replay, run = shared.begin(shared.spec(rows=99))
    run.result(PATIENCE_S)
    done = shared.jobs.get(replay.id)
    assert (done.state, done.senders, done.sent_by) == (JobState.DONE, 1, "")
    assert shared.job(replay.id) is None


def test_a_sender_killed_in_the_middle_is_started_again_and_sends_the_rest(shared: SharedReplays) -> None:
    replay, _ = shared.begin(shared.spec(rows=240, rate=60.0))
    shared.wait_for_rows(replay.id, 60)
    (victim,) = shared.controller.running(1)
    victim.kill()
    done = ended(shared.jobs, replay.id, PATIENCE_S)
    assert (done.state, done.message) == (JobState.DONE, "")
    shared.assert_all_rows_once(done)
    assert len([pod for pod in shared.controller.pods if pod.index == 1]) == 2


def test_the_job_outlives_its_worker_and_the_next_one_watches_on(shared: SharedReplays) -> None:
    first = shared.start_worker("worker-1")
    replay = shared.jobs.submit(shared.spec(rows=400, rate=40.0, mode=ReplayMode.PAIRED, arms=("a", "b")), who="ann")
    shared.wait_for_rows(replay.id, 40)
    before = shared.job(replay.id)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    rows = len(shared.store.recorded_rows(replay.id))
    shared.wait_for_rows(replay.id, rows + 40)
    shared.start_worker("worker-2")
    done = ended(shared.jobs, replay.id, PATIENCE_S)
    assert (done.state, done.done_rows, done.senders) == (JobState.DONE, 400, SHARES)
    after = shared.job(replay.id)
    assert before is not None and after is not None and before["metadata"]["uid"] == after["metadata"]["uid"]
    outcomes = shared.store.outcomes(shared.namespace, "wine", limit=10_000, replay=replay.id)
    assert len({(outcome.row, outcome.predictor) for outcome in outcomes}) == len(outcomes) == 800


def test_pause_and_resume_with_new_senders(shared: SharedReplays) -> None:
    replay, run = shared.begin(shared.spec(rows=240, rate=60.0))
    shared.wait_for_rows(replay.id, 60)
    shared.jobs.pause(replay.id)
    run.result(PATIENCE_S)
    paused = shared.jobs.get(replay.id)
    held = len(shared.store.recorded_rows(replay.id))
    assert paused.state is JobState.PAUSED and paused.done_rows == held < 240
    assert shared.job(replay.id) is None
    shared.jobs.resume(replay.id)
    shared.jobs.run(replay.id)
    done = shared.jobs.get(replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 240)
    shared.assert_all_rows_once(done)


def test_a_pause_while_no_worker_lives_is_kept_by_the_senders(shared: SharedReplays) -> None:
    first, _ = shared.worker(SenderJobs(shared.cluster, POD, shared.own))
    replay, run = shared.begin(shared.spec(rows=240, rate=40.0), first)
    shared.wait_for_rows(replay.id, 20)
    first.stop()
    run.result(PATIENCE_S)
    assert shared.jobs.get(replay.id).state is JobState.RUNNING
    shared.jobs.pause(replay.id)
    wait_until(
        lambda: not shared.store.leases.holders("replay-share:"), timeout_s=PATIENCE_S, what="the senders to hold still"
    )
    held = len(shared.store.recorded_rows(replay.id))
    pods = shared.controller.running()
    assert held < 240 and len(pods) == SHARES
    shared.jobs.resume(replay.id)
    shared.jobs.run(replay.id)
    done = shared.jobs.get(replay.id)
    assert (done.state, done.senders) == (JobState.DONE, SHARES)
    shared.assert_all_rows_once(done)
    assert {pod.process for pod in shared.controller.pods} == set(pods), "nobody was started anew"


def test_a_cancel_ends_the_senders(shared: SharedReplays) -> None:
    replay, run = shared.begin(shared.spec(rows=240, rate=40.0))
    shared.wait_for_rows(replay.id, 20)
    shared.jobs.cancel(replay.id)
    run.result(PATIENCE_S)
    cancelled = shared.jobs.get(replay.id)
    assert cancelled.state is JobState.CANCELLED and shared.job(replay.id) is None
    wait_until(lambda: not shared.controller.running(), timeout_s=PATIENCE_S, what="the senders to end")
    assert cancelled.done_rows == len(shared.store.recorded_rows(replay.id)) < 240


def test_what_a_sender_cannot_do_fails_the_replay_in_its_words(shared: SharedReplays) -> None:
    replay = shared.jobs.submit(shared.spec(), who="ann")
    shared.engine.delete(shared.namespace, "wine", note=ChangeNote("ada", "no longer"))
    shared.jobs.run(replay.id)
    failed = shared.jobs.get(replay.id)
    assert failed.state is JobState.FAILED and "There is no deployment" in failed.message
    assert shared.job(replay.id) is None


def test_a_job_that_somebody_deletes_fails_the_replay_and_resuming_finishes_it(shared: SharedReplays) -> None:
    shared.controller.unplaced.add(2)
    replay, run = shared.begin(shared.spec(rows=150))
    waiting = wait_until(
        lambda: shared.jobs.get(replay.id).waiting, timeout_s=PATIENCE_S, what="what keeps the third sender"
    )
    wait_until(
        lambda: "insufficient cpu" in shared.jobs.get(replay.id).waiting,
        timeout_s=PATIENCE_S,
        what=f"not only {waiting}",
    )
    shared.wait_for_rows(replay.id, 100)
    said = wait_until(
        lambda: shared.jobs.get(replay.id).waiting, timeout_s=PATIENCE_S, what="what keeps the third sender"
    )
    assert "1 cannot be scheduled: 0/3 nodes are available: insufficient cpu." in said
    shared.cluster.send("DELETE", f"/apis/batch/v1/namespaces/{shared.own}/jobs/decant-replay-{replay.id}")
    run.result(PATIENCE_S)
    failed = shared.jobs.get(replay.id)
    assert failed.state is JobState.FAILED and f"Somebody deleted the Job decant-replay-{replay.id}" in failed.message
    shared.controller.unplaced.clear()
    shared.jobs.resume(replay.id)
    shared.jobs.run(replay.id)
    done = shared.jobs.get(replay.id)
    assert (done.state, done.done_rows) == (JobState.DONE, 150)
    shared.assert_all_rows_once(done)


def test_senders_that_end_again_and_again_fail_it_in_the_words_of_their_pods(shared: SharedReplays) -> None:
    pod = f"/api/v1/namespaces/{shared.own}/pods/{POD}"
    found = shared.cluster.get(pod)
    found["spec"]["containers"][0]["env"].append({"name": "DECANT_SCRAPE_INTERVAL_S", "value": "often"})
    shared.cluster.send("PUT", pod, found)
    replay = shared.jobs.submit(shared.spec(), who="ann")
    shared.jobs.run(replay.id)
    failed = shared.jobs.get(replay.id)
    assert failed.state is JobState.FAILED
    assert f"The Job decant-replay-{replay.id} has failed: Job has reached" in failed.message
    assert "ended: Error with exit code 2" in failed.message


def test_a_worker_that_lost_its_lease_says_nothing_of_how_it_ended(shared: SharedReplays) -> None:
    replay = shared.jobs.submit(shared.spec(rows=50), who="ann")
    lease, other = f"replay:{replay.id}", shared.store.leases
    stalled, its_store = shared.worker(SenderJobs(shared.cluster, POD, shared.own))
    database = open_database(shared.environment["DECANT_DATABASE_URL"])

    class Breaking(ReplayDatasets):
        def load(self, source: str, digest: str = "") -> Dataset:
            with database.begin() as connection:  # as if this process had stood still for a minute
                connection.execute(sa.update(lease_table).values(until=0.0))
            assert other.take(lease)
            wait_until(lambda: not its_store.leases.holds(lease), what="the loss to be noticed")
            raise InvalidInput("It cannot go on.")

    stalled._runner._datasets = Breaking(its_store.files, Settings())
    stalled.run(replay.id)
    after = shared.jobs.get(replay.id)
    assert (after.state, after.message, after.finished_at) == (JobState.RUNNING, "", None)
    other.release(lease)
    shared.jobs.run(replay.id)
    assert shared.jobs.get(replay.id).state is JobState.DONE
    database.dispose()


# -- where there can be no Job -----------------------------------------------------------------------------------------


def sent_alone(shared: SharedReplays, cluster: Cluster, namespace: str) -> str:
    """Have it sent with what `cluster` allows; who is said to have sent it."""
    jobs, _ = shared.worker(SenderJobs(cluster, POD, namespace))
    replay, run = shared.begin(shared.spec(rows=120), jobs)
    run.result(PATIENCE_S)
    done = jobs.get(replay.id)
    assert (done.state, done.done_rows, done.senders) == (JobState.DONE, 120, 1)
    shared.assert_all_rows_once(done)
    return done.sent_by


def test_without_the_right_to_jobs_the_worker_sends_it_and_says_so(shared: SharedReplays, cluster: TestCluster) -> None:
    ada, namespace = Cluster(str(cluster.users["ada"])), cluster.namespace()
    said = sent_alone(shared, ada, namespace)
    assert said.startswith("one worker, since there can be no Job. The cluster does not let ada get jobs.batch")
    assert "--verb=get --resource=jobs.batch" in said

    make_worker_pod(cluster.admin, namespace, {})
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": ["", "batch"], "resources": ["jobs", "pods"], "verbs": ["get", "list"]}]
    cluster.admin.send("POST", f"{rbac}/roles", {"metadata": {"name": "looks"}, "rules": rules})
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looks"}
    cluster.admin.send(
        "POST", f"{rbac}/rolebindings", {"metadata": {"name": "looks"}, "roleRef": role, "subjects": [user]}
    )
    wait_until(lambda: may_look(ada, namespace), what="the API server to know the new rights")
    said = sent_alone(shared, ada, namespace)
    assert "The cluster does not let ada create jobs.batch" in said and "--verb=create --resource=jobs.batch" in said


def may_look(cluster: Cluster, namespace: str) -> bool:
    try:
        return SenderJobs(cluster, POD, namespace).look(1) is None
    except Forbidden:
        return False


def test_a_kubernetes_without_indexed_jobs_is_noticed_before_there_is_one(
    shared: SharedReplays, cluster: TestCluster
) -> None:
    version = cluster.admin.get("/version")
    if (int(version["major"]), int(version["minor"].rstrip("+"))) >= (1, 21):
        pytest.skip(f"This API server ({version['gitVersion']}) has indexed Jobs.")
    namespace = cluster.namespace()
    make_worker_pod(cluster.admin, namespace, {})
    said = sent_alone(shared, cluster.admin, namespace)
    assert "this Kubernetes is older than 1.24 and has no indexed Jobs" in said
    assert cluster.admin.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"] == []
