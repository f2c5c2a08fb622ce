"""Stands in for what makes a Job's pods: the Job controller, the kubelet and the garbage collector.

A pod is a process that runs the command of its container: the real `python -m app part replay-share`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import core
from services.deployments.kubernetes.sender_words import INDEX
from services.errors import DecantError
from services.settings import ROOT

EVERY_S = 0.1
Object = dict[str, Any]


@dataclass
class _Pod:
    name: str
    job: str  # its uid
    index: int
    process: subprocess.Popen[bytes] | None
    ended: bool = False


@dataclass
class JobController:
    """Use as a context. Pods of the shares in `unplaced` find no node."""

    cluster: Cluster
    namespace: str
    folder: Path
    unplaced: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pods: list[_Pod] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> JobController:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)
        for pod in self.pods:
            if pod.process is not None and pod.process.poll() is None:
                pod.process.kill()
                pod.process.wait(10)

    def running(self, index: int | None = None) -> list[subprocess.Popen[bytes]]:
        """The processes that run now: of all shares, or of one."""
        return [
            pod.process
            for pod in list(self.pods)
            if pod.process is not None and not pod.ended and pod.process.poll() is None and index in (None, pod.index)
        ]

    def log(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("pod-*.log")))

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                jobs = self.cluster.get(f"{self._jobs}")["items"]
                for job in jobs:
                    self._reconcile(job)
                self._collect({job["metadata"]["uid"] for job in jobs})
            except DecantError:
                continue  # changed meanwhile, or no server: the next look sees it

    @property
    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def _reconcile(self, job: Object) -> None:
        spec, status, uid = job["spec"], job.get("status") or {}, job["metadata"]["uid"]
        own = [pod for pod in self.pods if pod.job == uid]
        for pod in own:
            self._note_end(pod)
        if status.get("conditions"):
            return
        failed = sum(pod.ended and pod.process is not None and pod.process.returncode != 0 for pod in own)
        succeeded = {pod.index for pod in own if pod.ended and pod.process and pod.process.returncode == 0}
        now: Object = {"succeeded": len(succeeded), "failed": failed}
        if len(succeeded) == spec["completions"]:
            now["conditions"] = [{"type": "Complete", "status": "True"}]
        elif failed > spec["backoffLimit"]:
            words = "Job has reached the specified backoff limit"
            now["conditions"] = [
                {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": words}
            ]
        else:
            live = {pod.index for pod in own if not pod.ended}
            for index in set(range(spec["completions"])) - succeeded - live:
                self._make(job, index)
        if now != status:
            self.cluster.send("PUT", f"{self._jobs}/{job['metadata']['name']}/status", {**job, "status": now})

    def _make(self, job: Object, index: int) -> None:
        template, metadata = job["spec"]["template"], job["metadata"]
        (container,) = template["spec"]["containers"]
        body = {
            "metadata": {
                "generateName": f"{metadata['name']}-{index}-",
                "labels": template["metadata"]["labels"],
                "annotations": {INDEX: str(index)},
                "ownerReferences": [{"kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}],
            },
            "spec": template["spec"],
        }
        made = self.cluster.send("POST", core(self.namespace, "pods"), body)
        name = made["metadata"]["name"]
        placed = index not in self.unplaced
        process = self._start(name, container, index) if placed else None
        self.pods.append(_Pod(name, metadata["uid"], index, process))
        unplaced = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: insufficient cpu."}
        conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")] if placed else [unplaced]
        self._write(made, {"phase": "Running" if placed else "Pending", "conditions": conditions})

    def _start(self, name: str, container: Object, index: int) -> subprocess.Popen[bytes]:
        environment = {one["name"]: one["value"] for one in container["env"]}
        environment |= {"JOB_COMPLETION_INDEX": str(index), "DECANT_STATE_DIR": str(self.folder / name)}
        environment |= {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / f"pod-{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "app", *container["args"]]
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def _note_end(self, pod: _Pod) -> None:
        code = pod.process.poll() if pod.process is not None else None
        if code is None or pod.ended:
            return
        pod.ended = True
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error"}
        phase = "Succeeded" if code == 0 else "Failed"
        states = [{"name": "sender", "state": {"terminated": ended}}]
        try:
            found = self.cluster.get(f"{core(self.namespace, 'pods')}/{pod.name}")
            self._write(found, {"phase": phase, "containerStatuses": states})
        except ApiRefused as refused:
            if refused.reason != "NotFound":
                raise

    def _collect(self, alive: set[str]) -> None:
        """Stop the pods whose Job is gone; once a process has ended, its pod goes too."""
        for pod in [one for one in self.pods if one.job not in alive]:
            if pod.process is not None and pod.process.poll() is None:
                pod.process.send_signal(signal.SIGTERM)
                continue
            self.pods.remove(pod)
            try:
                self.cluster.send("DELETE", f"{core(self.namespace, 'pods')}/{pod.name}")
            except ApiRefused as refused:
                if refused.reason != "NotFound":
                    raise

    def _write(self, pod: Object, status: Object) -> None:
        path = f"{core(self.namespace, 'pods')}/{pod['metadata']['name']}/status"
        self.cluster.send("PUT", path, {**pod, "status": status})
