"""The senders of large replays as indexed Jobs in Decant's own namespace: implements `deployments.senders.Senders`."""

from __future__ import annotations

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import core
from services.deployments.kubernetes.sender_template import INSTANCE, job_name, job_of
from services.deployments.kubernetes.sender_words import Object, read
from services.deployments.senders import SendersJob
from services.errors import StartFailed

FIRST_WITH_INDEXED_JOBS = "1.24"


class SenderJobs:
    """Jobs made after one pod, the worker's. Thread-safe; nothing is asked before the first call.

    Args:
        pod: the name of that pod.
        namespace: where it runs, and where the Jobs go.
        account: the service account of the senders; empty: that of the pod.
    """

    def __init__(self, cluster: Cluster, pod: str, namespace: str, account: str = "") -> None:
        self._cluster, self._pod, self._namespace, self._account = cluster, pod, namespace, account
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def name(self, replay: int) -> str:
        return job_name(replay)

    def start(self, replay: int, shares: int) -> None:
        """An old API server drops the mode of a Job without a word, so it is asked first what it would make of it."""
        pod = self._cluster.get(f"{core(self._namespace, 'pods')}/{self._pod}")
        wanted = job_of(pod, replay, shares, self._account)
        try:
            tried = self._cluster.send("POST", self._jobs, wanted, query={"dryRun": "All"})
            if (tried.get("spec") or {}).get("completionMode") != "Indexed":
                raise StartFailed(
                    f"The Job {job_name(replay)}",
                    f"this Kubernetes is older than {FIRST_WITH_INDEXED_JOBS} and has no indexed Jobs",
                )
            self._cluster.send("POST", self._jobs, wanted)
        except ApiRefused as refused:
            if refused.reason != "AlreadyExists":  # made by an attempt whose answer was lost
                raise

    def look(self, replay: int) -> SendersJob | None:
        job = self._find(replay)
        query = {"labelSelector": f"{INSTANCE}={job_name(replay)}"}
        pods = self._cluster.get(core(self._namespace, "pods"), query).get("items") or []
        return read(job_name(replay), job, pods)

    def remove(self, replay: int) -> None:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            self._cluster.send("DELETE", f"{self._jobs}/{job_name(replay)}", options)
        except ApiRefused as refused:
            if refused.reason != "NotFound":
                raise

    def _find(self, replay: int) -> Object | None:
        try:
            return self._cluster.get(f"{self._jobs}/{job_name(replay)}")
        except ApiRefused as refused:
            if refused.reason == "NotFound":
                return None
            raise
