"""A replay in shares: every row in one of them, the pace divided; senders made like the worker and told of in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployments.kubernetes.sender_template import job_of
from services.deployments.kubernetes.sender_words import INDEX, read
from services.deployments.senders import JobEnd, SendersJob
from services.errors import StartFailed
from services.evidence.database import open_database
from services.evidence.share_table import ShareRecord
from services.evidence.store import EvidenceStore
from services.jobs.replay_run import make_plan
from services.jobs.replay_values import Replay, spec_to_json
from services.jobs.replay_words import held_text, merged, senders_text
from services.jobs.states import JobState
from services.settings import Settings
from services.traffic.datasets import load_dataset
from services.traffic.order import Share, most_shares, sending_order
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.outcomes import outcome

SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=60)
Object = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


# -- rows and pace -----------------------------------------------------------------------------------------------------


@given(
    count=st.integers(1, 9),
    size=st.integers(0, 40),
    passes=st.integers(1, 3),
    seed=st.none() | st.integers(0, 5),
    sample=st.none() | st.integers(0, 5),
)
def test_the_shares_hold_every_row_once(
    count: int, size: int, passes: int, seed: int | None, sample: int | None
) -> None:
    spec = replace(SPEC, rows=None, passes=passes, shuffle_seed=seed, sample_seed=sample)
    order = list(sending_order(spec, size))
    shares = [[row for place, row in enumerate(order) if Share(index, count).takes(place)] for index in range(count)]
    assert sorted(row for share in shares for row in share) == sorted(order)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_resumed_replay_sends_what_is_missing_and_nothing_else(store: EvidenceStore, count: int) -> None:
    dataset = load_dataset("wine-quality", 100)
    spec = replace(SPEC, passes=2, shuffle_seed=4)
    record = store.replays.add(
        "seldon", "wine", {**spec_to_json(spec), "digest": dataset.digest}, 120, "running", "ann"
    )
    there = [(pass_, row) for pass_, row in sending_order(spec, dataset.rows) if row % 3 == pass_]
    store.ledger.record([replace(outcome(row, "a", record.id), pass_=pass_) for pass_, row in there])
    assert store.recorded_rows(record.id) == set(there)
    plans = [make_plan(store, Settings(), record, dataset, 1, 1, share=Share(i, count)) for i in range(count)]
    left = [(row.pass_, row.index) for plan in plans for row in plan.rows]
    assert sorted(left) == sorted(set(sending_order(spec, dataset.rows)) - set(there))


@pytest.mark.parametrize(("concurrency", "count"), [(32, 4), (7, 3), (5, 5), (2, 4)])
def test_the_shares_together_keep_to_the_pace(concurrency: int, count: int) -> None:
    parts = [Share(i, count).of(replace(SPEC, concurrency=concurrency, rate=90.0)) for i in range(count)]
    assert sum(part.rate or 0 for part in parts) == pytest.approx(90.0)
    assert sum(part.concurrency for part in parts) == max(concurrency, count)


def test_there_are_no_more_shares_than_rows_under_way() -> None:
    assert most_shares(replace(SPEC, concurrency=32), 4) == 4
    assert most_shares(replace(SPEC, concurrency=3), 4) == 3
    pairs = replace(SPEC, mode=ReplayMode.PAIRED, arms=("a", "b"))
    assert most_shares(replace(pairs, concurrency=6), 4) == 3
    assert most_shares(replace(pairs, concurrency=1), 4) == 1


# -- what senders say --------------------------------------------------------------------------------------------------


def test_a_sender_writes_over_what_it_said_before(store: EvidenceStore) -> None:
    store.shares.put(ShareRecord(3, 1, 2, 0.4, ("Row 5: no answer",), "Arm b has answered nothing for 4 s."))
    store.shares.put(ShareRecord(3, 0, 2))
    store.shares.put(ShareRecord(3, 1, 2, 0.9, (), "", "it broke"))
    store.shares.put(ShareRecord(4, 0, 2))
    assert store.shares.of(3) == [ShareRecord(3, 0, 2), ShareRecord(3, 1, 2, 0.9, (), "", "it broke")]
    store.shares.clear(3)
    assert store.shares.of(3) == [] and store.shares.of(4) == [ShareRecord(4, 0, 2)]


def test_of_the_errors_each_sender_has_its_last() -> None:
    assert merged([("a1", "a2", "a3"), ("b1",), ()], 3) == ("a2", "b1", "a3")
    assert merged([("a1",), ("b1",)], 10) == ("b1", "a1")
    assert merged([], 10) == ()


def test_several_senders_at_their_limit_are_told_of_in_the_plural() -> None:
    now = datetime.now(UTC)
    replay = Replay(
        1, SPEC, "d", JobState.RUNNING, 10, 60, (), 5.0, "", (), "ann", now, now, None, busy=0.97, senders=4
    )
    assert "the busiest of 4 takes 97%" in replay.bottleneck and "DECANT_REPLAY_JOB_WORKERS" in replay.bottleneck
    assert "the worker takes 97%" in replace(replay, senders=1).bottleneck


# -- the Job -----------------------------------------------------------------------------------------------------------


def worker_pod() -> Object:
    """A pod as an API server gives it: with what the Deployment says, and what was injected."""
    token = {"name": "kube-api-access-x7", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    worker = {
        "name": "worker",
        "image": "registry.example.com/decant:7",
        "args": ["part", "worker"],
        "env": [{"name": "DECANT_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "envFrom": [{"configMapRef": {"name": "decant-abc"}}, {"secretRef": {"name": "decant"}}],
        "startupProbe": {"exec": {"command": ["true"]}},
        "livenessProbe": {"exec": {"command": ["true"]}},
        "ports": [{"containerPort": 1}],
        "resources": {"limits": {"memory": "4Gi"}},
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "state", "mountPath": "/var/lib/decant"},
            {"name": "tmp", "mountPath": "/tmp"},
            token,
        ],
    }
    return {
        "metadata": {
            "name": "worker-abc-1",
            "uid": "u",
            "labels": {"app.kubernetes.io/component": "worker", "sidecar.istio.io/inject": "false"},
            "annotations": {"kubectl.kubernetes.io/restartedAt": "today"},
        },
        "spec": {
            "containers": [{"name": "istio-proxy", "image": "proxy"}, worker],
            "initContainers": [{"name": "istio-init"}],
            "nodeName": "node-1",
            "nodeSelector": {"pool": "decant"},
            "restartPolicy": "Always",
            "serviceAccountName": "decant",
            "securityContext": {"runAsNonRoot": True},
            "terminationGracePeriodSeconds": 30,
            "tolerations": [{"key": "decant", "operator": "Exists"}],
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "state", "emptyDir": {"sizeLimit": "10Gi"}},
                {"name": "istio-token", "projected": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "kube-api-access-x7", "projected": {}},
            ],
        },
        "status": {"phase": "Running"},
    }


def test_senders_are_made_like_the_worker() -> None:
    pod = worker_pod()
    job = job_of(pod, 12, 4)
    assert (job["metadata"]["name"], job["apiVersion"]) == ("decant-replay-12", "batch/v1")
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert spec["backoffLimit"] >= 4 and spec["ttlSecondsAfterFinished"] > 0
    made, (container,) = spec["template"]["spec"], spec["template"]["spec"]["containers"]
    worker = pod["spec"]["containers"][1]
    alike = ("image", "env", "envFrom", "resources", "securityContext")
    assert {name: container[name] for name in alike} == {name: worker[name] for name in alike}
    assert container["args"] == ["part", "replay-share", "12", "--of", "4"]
    assert not container.keys() & {"startupProbe", "livenessProbe", "ports"}
    alike = ("serviceAccountName", "securityContext", "nodeSelector", "tolerations", "imagePullSecrets")
    assert {name: made[name] for name in alike} == {name: pod["spec"][name] for name in alike}
    assert made["restartPolicy"] == "Never" and not made.keys() & {"nodeName", "initContainers"}
    assert [mount["name"] for mount in container["volumeMounts"]] == ["state", "tmp"]
    assert [volume["name"] for volume in made["volumes"]] == ["state", "tmp"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels["sidecar.istio.io/inject"] == "false" and spec["template"]["metadata"]["annotations"] == {}
    assert labels["app.kubernetes.io/name"] == "decant" and labels["app.kubernetes.io/component"] == "replay"
    assert pod == worker_pod(), "the pod that was read is left as it was"
    assert job_of(pod, 12, 4, "sender")["spec"]["template"]["spec"] == {**made, "serviceAccountName": "sender"}


def test_a_worker_of_another_name_is_told_of() -> None:
    pod = worker_pod()
    pod["spec"]["containers"][1]["name"] = "decant"
    with pytest.raises(StartFailed, match="worker-abc-1 has no container “worker”"):
        job_of(pod, 12, 4)


# -- how the senders are -----------------------------------------------------------------------------------------------


def job(**status: Any) -> Object:
    return {"metadata": {"name": "decant-replay-12", "uid": "j"}, "spec": {"completions": 4}, "status": status}


def pod(index: int, phase: str = "Running", made: str = "1", owner: str = "j", **status: Any) -> Object:
    metadata = {
        "name": f"decant-replay-12-{index}-{made}",
        "creationTimestamp": made,
        "annotations": {INDEX: str(index)},
        "ownerReferences": [{"uid": owner}],
    }
    return {"metadata": metadata, "status": {"phase": phase, **status}}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}
UNPLACED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}


def ended(code: int, **more: str) -> Object:
    return {"containerStatuses": [{"name": "sender", "state": {"terminated": {"exitCode": code, **more}}}]}


def waits(why: str, message: str) -> Object:
    state = {"waiting": {"reason": why, "message": message}}
    return {"containerStatuses": [{"name": "sender", "state": state}]}


@pytest.mark.parametrize(
    ("pods", "status", "words"),
    [
        ([pod(i, **READY) for i in range(4)], {}, ""),
        ([], {}, "None of 4 senders runs; 4 without a pod."),
        (
            [pod(0, **READY), pod(1, **READY), pod(2, "Pending", **UNPLACED), pod(3, "Pending", **UNPLACED)],
            {},
            "2 of 4 senders run; 2 cannot be scheduled: 0/3 nodes are available.",
        ),
        (
            [
                pod(0, "Succeeded"),
                pod(1, **READY),
                pod(2, "Pending"),
                pod(3, "Failed", **ended(137, reason="OOMKilled")),
            ],
            {"succeeded": 1},
            "1 of 4 senders runs; 1 is done; 1 starting; 1 ended: out of memory (OOMKilled).",
        ),
        (
            [pod(0, "Failed", **ended(1)), pod(0, made="2", **READY), *(pod(i, **READY) for i in (1, 2))],
            {},
            "3 of 4 senders run; 1 without a pod.",
        ),
        (
            [*(pod(i, **READY) for i in range(3)), pod(3, "Pending", **waits("ImagePullBackOff", "no such image"))],
            {},
            "3 of 4 senders run; 1 ImagePullBackOff: no such image.",
        ),
        (
            [*(pod(i, **READY) for i in range(3)), pod(3, "Failed", message="The node was low on memory.")],
            {},
            "3 of 4 senders run; 1 ended: The node was low on memory..",
        ),
        ([*(pod(i, **READY) for i in range(4)), pod(0, "Pending", made="9", owner="older")], {}, ""),
    ],
)
def test_how_the_senders_are_is_said_in_a_line(pods: list[Object], status: Object, words: str) -> None:
    found = read("decant-replay-12", job(**status), pods)
    assert found is not None and not found.leaving and found.end is None
    assert held_text(found) == words.replace("..", ".")
    assert senders_text(found) == "4 senders (Job decant-replay-12)"


def test_a_job_that_gave_up_tells_how_its_pods_ended() -> None:
    over = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
    pods = [pod(0, "Failed", **ended(3, message="There is no deployment “wine”.\n")), pod(1, "Failed", **ended(1))]
    found = read("decant-replay-12", job(conditions=[over]), pods)
    assert found is not None and found.end is JobEnd.FAILED
    assert found.why == (
        "Job has reached the specified backoff limit; decant-replay-12-0-1 ended: There is no deployment “wine”.; "
        "decant-replay-12-1-1 ended: exit code 1"
    )


def test_what_is_left_of_a_deleted_job_is_seen_until_it_is_gone() -> None:
    left = read("decant-replay-12", None, [pod(0, **READY), pod(1, "Succeeded")])
    assert left == SendersJob("decant-replay-12", 1, 1, leaving=True)
    assert read("decant-replay-12", None, [pod(0, "Succeeded"), pod(1, "Failed")]) is None
    leaving = job()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = read("decant-replay-12", leaving, [])
    assert found is not None and found.leaving
    complete = read("decant-replay-12", job(succeeded=4, conditions=[{"type": "Complete", "status": "True"}]), [])
    assert complete is not None and complete.end is JobEnd.COMPLETE and complete.others == ()
