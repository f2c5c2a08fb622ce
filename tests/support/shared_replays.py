"""Replays that the pods of a Job share: a PostgreSQL, two arms, the real senders as processes, and a stand-in for the
cluster that starts them. The worker is `jobs`, here in the test's process; `start_worker` starts a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.seldon import core, service_name
from services.deployments.kubernetes.sender_jobs import SenderJobs
from services.deployments.kubernetes.sender_template import WORKER
from services.deployments.senders import Senders
from services.domain import ChangeNote, Deployment, Predictor
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.jobs.queue import open_queue
from services.jobs.replays import Replay, ReplayJobs
from services.settings import ROOT, Settings
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support import kube_server
from tests.support.job_controller import JobController
from tests.support.operator import StatusOperator
from tests.support.seldon_arms import SeldonArms
from tests.support.waiting import wait_until

POD = "worker-0"
SHARES = 3
PATIENCE_S = 240
"""Several processes start at once, and each loads the whole of Decant: on a crowded machine that takes a minute."""


@dataclass
class SharedReplays:
    """What the tests share. `environment` holds the settings of worker and senders."""

    folder: Path
    environment: dict[str, str]
    cluster: Cluster
    namespace: str  # of the deployment
    own: str  # Decant's
    engine: KubernetesEngine
    arms: SeldonArms
    controller: JobController
    pool: ThreadPoolExecutor
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs, self.store = self.worker(SenderJobs(self.cluster, POD, self.own))

    def worker(self, senders: Senders) -> tuple[ReplayJobs, EvidenceStore]:
        """Another worker with its store, which holds its leases for itself."""
        found = {key.removeprefix("DECANT_").lower(): value for key, value in self.environment.items()}
        settings = Settings(**{**found, "state_dir": self.folder / "worker"})  # type: ignore[arg-type]
        store = EvidenceStore(open_database(settings.store_url))
        return ReplayJobs(store, open_queue(settings), self.engine, settings, 20.0, 20.0, senders=senders), store

    def spec(self, **more: Any) -> ReplaySpec:
        standard: dict[str, Any] = {"rows": 240, "shuffle_seed": 3, **more}
        return ReplaySpec(self.namespace, "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED), **standard)

    def begin(self, spec: ReplaySpec, jobs: ReplayJobs | None = None) -> tuple[Replay, Future[None]]:
        """Submit it and have the worker run it."""
        replay = self.jobs.submit(spec, who="ann")
        return replay, self.pool.submit((jobs or self.jobs).run, replay.id)

    def wait_for_rows(self, replay: int, rows: int) -> None:
        wait_until(
            lambda: len(self.store.recorded_rows(replay)) >= rows,
            timeout_s=PATIENCE_S,
            what=f"{rows} rows\n{self._said()}",
        )

    def assert_all_rows_once(self, replay: Replay) -> None:
        """In the ledger, with sums that are the replay's; every reward at the arm that made the answer."""
        outcomes = self.store.outcomes(self.namespace, "wine", limit=10_000, replay=replay.id)
        rows = [(outcome.pass_, outcome.row) for outcome in outcomes]
        assert len(rows) == len(set(rows)) == replay.total == replay.done_rows, self._said()
        assert {arm.predictor: arm.sent for arm in replay.arms} == {
            arm.predictor: arm.answered + arm.prediction_failed for arm in self.store.arm_ledger(replay.id)
        }
        assert self.arms.strayed() == 0
        fed = {puid for arm in self.arms.arms.values() for puid, _ in arm.fed}
        assert {outcome.puid for outcome in outcomes} <= fed

    def job(self, replay: int) -> dict[str, Any] | None:
        """The Job of a replay, if there is one."""
        items = self.cluster.get(f"/apis/batch/v1/namespaces/{self.own}/jobs")["items"]
        return next((one for one in items if one["metadata"]["name"] == f"decant-replay-{replay}"), None)

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """A real worker, as its container runs it."""
        environment = {**self.environment, "DECANT_STATE_DIR": str(self.folder / name)}
        environment |= {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "app", "part", "worker"]
            self.workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        return self.workers[-1]

    def _said(self) -> str:
        return self.controller.log()[-4000:]


@contextmanager
def shared_replays(folder: Path, database_url: str) -> Iterator[SharedReplays]:
    """Everything is stopped at the end."""
    with ExitStack() as stack:
        stand_in = stack.enter_context(kube_server.running(folder))
        stack.enter_context(StatusOperator(stand_in.admin))
        arms = stack.enter_context(SeldonArms())
        namespace, own = stand_in.namespace(), stand_in.namespace()
        environment = {
            "DECANT_ENGINE": "kubernetes",
            "DECANT_KUBECONFIG": str(stand_in.kubeconfig),
            "DECANT_NAMESPACES": namespace,
            "DECANT_INGRESS": "istio",
            "DECANT_INGRESS_URL": arms.ingress,
            "DECANT_DATABASE_URL": database_url,
            "DECANT_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            "DECANT_REPLAY_JOB_ROWS": "100",
            "DECANT_REPLAY_JOB_WORKERS": str(SHARES),
            "DECANT_POD_NAME": POD,
            "DECANT_POD_NAMESPACE": own,
        }
        make_worker_pod(stand_in.admin, own, environment)
        engine = KubernetesEngine(stand_in.options(namespace, ingress_url=arms.ingress))
        stack.callback(engine.close)
        predictors = tuple(Predictor(name, f"s3://m/{name}", share) for name, share in arms.weights.items())
        engine.apply(Deployment(namespace, "wine", predictors), note=ChangeNote("ada", "a test"))
        for name, arm in arms.arms.items():
            metadata = {"name": service_name("wine", name)}
            subsets = [{"addresses": [{"ip": arms.host}], "ports": [{"port": arm.port}]}]
            stand_in.admin.send("POST", core(namespace, "services"), {"metadata": metadata})
            stand_in.admin.send("POST", core(namespace, "endpoints"), {"metadata": metadata, "subsets": subsets})
        wait_until(lambda: engine.get(namespace, "wine").settled, what="the deployment to be ready")
        controller = stack.enter_context(JobController(stand_in.admin, own, folder))
        pool = stack.enter_context(ThreadPoolExecutor(4))
        bench = SharedReplays(folder, environment, stand_in.admin, namespace, own, engine, arms, controller, pool)
        try:
            yield bench
        finally:
            bench.jobs.stop()
            for worker in bench.workers:
                worker.kill()
                worker.wait(10)


def make_worker_pod(cluster: Cluster, namespace: str, environment: dict[str, str]) -> None:
    """The pod that senders are made like."""
    env = [{"name": name, "value": value} for name, value in environment.items()]
    container = {"name": WORKER, "image": "decant", "args": ["part", "worker"], "env": env}
    body = {"metadata": {"name": POD, "namespace": namespace}, "spec": {"containers": [container]}}
    cluster.send("POST", core(namespace, "pods"), body)
