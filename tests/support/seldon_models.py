"""Seldon Core for tests that need its models to answer: what operator, kubelet and ingress do, in one process.

It fetches the model of each predictor from an S3 store, runs one server for it (Decant's own, which speaks Seldon's
protocol), and writes what a cluster would: Deployments, the pods and how far they are, Services, the VirtualService,
the status.
The ingress divides by that VirtualService and counts as Istio's does. There are no images, probes or environments, and
one server stands for all replicas.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.informer import Informer
from services.deployments.kubernetes.seldon import SERVICE_PORT, collection, core, item, service_name
from services.errors import DecantError
from services.settings import ROOT
from tests.support import rollouts
from tests.support.dividing_ingress import DividingIngress
from tests.support.forwarding import Background, Forwarder
from tests.support.ingress import shares_of, write_virtual_service
from tests.support.mlflow_server import stop_tree
from tests.support.network_host import NetworkHost
from tests.support.operator import available
from tests.support.pod_status import Stage, pod_status
from tests.support.waiting import free_port

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Namespace, deployment, predictor."""

LOOK_EVERY_S = 0.3


@dataclass
class RunningModel:
    """One predictor's pod: its model server, and the object as it was last written."""

    uri: str
    node: str
    port: int
    pod: Object
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    failed: str = ""
    ready: bool = False


class SeldonModels:
    """Use as a context.

    `host`: where the arms' Services lead to, for an API server that does not proxy to loopback; None: loopback.
    `targets` is a file for Prometheus' file_sd_configs: the model servers that run, and the ingress.
    """

    def __init__(self, cluster: Cluster, folder: Path, s3: Any, host: NetworkHost | None = None) -> None:
        self._cluster, self._folder, self._s3, self._host = cluster, folder, s3, host
        self.targets = folder / "targets.json"
        self.models: dict[Key, RunningModel] = {}
        self._informer = Informer(cluster, collection())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._background = Background()
        self._forwarders: dict[Key, Forwarder] = {}
        self._routes: dict[tuple[str, str], dict[str, int]] = {}
        self._counted: dict[Key, tuple[str, int, bool]] = {}
        self._ingress = DividingIngress(self.routes)

    @property
    def ingress_url(self) -> str:
        return f"http://127.0.0.1:{self._ingress.port}"

    def routes(self, namespace: str, name: str) -> dict[str, tuple[int, int]]:
        """Share and port of each arm that the ingress knows; empty without a route."""
        shares = self._routes.get((namespace, name), {})
        ports = {key[2]: model.port for key, model in self.models.items() if key[:2] == (namespace, name)}
        return {arm: (share, ports[arm]) for arm, share in shares.items() if arm in ports}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._background.start()
        self._background.call(self._ingress.start())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._informer.close()
        self._thread.join(timeout=20)
        for model in self.models.values():
            _end(model)
        self._background.call(self._ingress.stop())
        self._background.stop()

    # -- the operator ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            try:
                self._look()
            except DecantError:
                continue  # changed meanwhile, or no server: the next look sees it

    def _look(self) -> None:
        found = list(self._informer.read().objects.values())
        wanted: dict[Key, tuple[Object, Object]] = {}
        for one in found:
            metadata = one["metadata"]
            for predictor in one["spec"]["predictors"]:
                wanted[metadata["namespace"], metadata["name"], predictor["name"]] = one, predictor
        for key in set(self.models) - set(wanted):
            self._remove(key)
            rollouts.remove(
                self._cluster, key[0], key[1], keep={rollouts.name_of(*w) for k, w in wanted.items() if k[0] == key[0]}
            )
            self._counted.pop(key, None)
        for key, (one, predictor) in wanted.items():
            self._bring_up(key, one, predictor)
        for one in found:
            self._write_status(one)
        self._write_targets()

    def _bring_up(self, key: Key, found: Object, predictor: Object) -> None:
        model = self.models.get(key)
        if model is not None and model.uri != predictor["graph"]["modelUri"]:
            self._remove(key)
            model = None
        if model is None:
            self._begin(key, rollouts.deployment_of(found, predictor), predictor["graph"])
        elif model.process is not None and not model.ready and _answers(model.port):
            self._lead(key, model)
            model.ready = True
            self._write_pod(model, Stage.RUNNING, ready=True)

    def _begin(self, key: Key, deployment: Object, graph: Object) -> None:
        namespace, template = key[0], deployment["spec"]["template"]
        tag = f"{random.getrandbits(32):08x}"
        name = f"{deployment['metadata']['name']}-{tag}-0"
        labels = {**template["metadata"]["labels"], "pod-template-hash": tag}
        pod = {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": template["spec"]}
        made = self._cluster.send("POST", core(namespace, "pods"), pod)
        model = RunningModel(graph["modelUri"], graph["name"], free_port(), made, self._folder / name)
        self.models[key] = model
        threading.Thread(target=self._load, args=(key, model), daemon=True).start()

    def _load(self, key: Key, model: RunningModel) -> None:
        """What the kubelet does with the pod: fetch, start; how far it is goes into the pod."""
        self._write_pod(model, Stage.FETCHING)
        bucket_path = model.uri.removeprefix("s3://")
        try:
            from pyarrow import fs

            model.folder.mkdir(parents=True)
            here = fs.LocalFileSystem()
            fs.copy_files(bucket_path, str(model.folder), source_filesystem=self._s3, destination_filesystem=here)
        except OSError as error:
            model.failed = str(error)
            self._write_pod(model, Stage.NO_MODEL)
            return
        self._write_pod(model, Stage.RUNNING)
        namespace, deployment, predictor = key
        command = [
            *(sys.executable, "-m", "services.runtime.model_server", "--port", str(model.port)),
            *("--model-uri", str(model.folder), "--namespace", namespace, "--deployment", deployment),
            *("--predictor", predictor, "--node", model.node, "--dataframe-input"),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DECANT_")}
        with (self._folder / f"{model.folder.name}.log").open("wb") as log:
            if not self._stopped.is_set():
                model.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def _write_pod(self, model: RunningModel, stage: Stage, *, ready: bool = False) -> None:
        host = self._host.address if self._host else "127.0.0.1"
        status = pod_status(model.node, stage, host, failed=model.failed, ready=ready)
        metadata = model.pod["metadata"]
        path = f"{core(metadata['namespace'], 'pods')}/{metadata['name']}"
        with suppress(DecantError):  # it may have been removed meanwhile
            self._cluster.send("PUT", f"{path}/status", {**self._cluster.get(path), "status": status})

    def _lead(self, key: Key, model: RunningModel) -> None:
        """The arm's own Service, which leads to its server."""
        namespace, deployment, predictor = key
        if old := self._forwarders.pop(key, None):
            self._background.call(old.close())
        forwarder = self._background.call(Forwarder.open(model.port, self._host))
        self._forwarders[key] = forwarder
        service, pod = service_name(deployment, predictor), model.pod["metadata"]["name"]
        named = {"name": service, "namespace": namespace}
        ports = [{"name": "http", "port": SERVICE_PORT}]
        self._put(core(namespace, "services"), {"metadata": named, "spec": {"ports": ports}}, replace=False)
        address = {"ip": forwarder.address, "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace}}
        subsets = [{"addresses": [address], "ports": [{"name": "http", "port": forwarder.port}]}]
        self._put(core(namespace, "endpoints"), {"metadata": named, "subsets": subsets})

    def _put(self, path: str, made: Object, *, replace: bool = True) -> None:
        try:
            self._cluster.send("POST", path, made)
        except ApiRefused as refused:
            if refused.reason != "AlreadyExists":
                raise
            if replace:
                one = f"{path}/{made['metadata']['name']}"
                self._cluster.send("PUT", one, {**self._cluster.get(one), **made})

    def _remove(self, key: Key) -> None:
        model = self.models.pop(key)
        _end(model)
        metadata = model.pod["metadata"]
        with suppress(ApiRefused):
            # As the kubelet's last word: without a grace period an API server forgets the pod at once.
            path = f"{core(metadata['namespace'], 'pods')}/{metadata['name']}"
            self._cluster.send("DELETE", path, {"gracePeriodSeconds": 0})

    def _write_status(self, found: Object) -> None:
        metadata = found["metadata"]
        mine = {
            key[2]: model for key, model in self.models.items() if key[:2] == (metadata["namespace"], metadata["name"])
        }
        up = {name for name, model in mine.items() if model.ready}
        status = available(found)
        for predictor in found["spec"]["predictors"]:
            ready = predictor["name"] in up
            self._count((metadata["namespace"], metadata["name"], predictor["name"]), found, predictor, ready=ready)
            if not ready:
                status["deploymentStatus"][rollouts.name_of(found, predictor)]["availableReplicas"] = 0
        if len(up) < len(found["spec"]["predictors"]):
            status |= {"state": "Creating", "conditions": [{"type": "DeploymentsReady", "status": "False"}]}
        else:
            self._routes[metadata["namespace"], metadata["name"]] = shares_of(found)
            write_virtual_service(self._cluster, found, shares_of(found))
        if found.get("status") != status:
            path = item(metadata["namespace"], metadata["name"])
            self._cluster.send("PUT", f"{path}/status", {**self._cluster.get(path), "status": status})

    def _count(self, key: Key, found: Object, predictor: Object, *, ready: bool) -> None:
        """The predictor's Deployment, and what its controller counts."""
        state = (found["metadata"]["uid"], found["metadata"]["generation"], ready)
        if self._counted.get(key) != state:
            replicas = predictor.get("replicas", 1)
            made = rollouts.carry_out(self._cluster, found, predictor)
            rollouts.count(self._cluster, made, rollouts.figures(replicas, ready=replicas if ready else 0))
            self._counted[key] = state

    def _write_targets(self) -> None:
        groups = [
            {
                "targets": [f"127.0.0.1:{model.port}"],
                "labels": {
                    "namespace": n,
                    "deployment_name": d,
                    "predictor_name": p,
                    "__metrics_path__": "/prometheus",
                },
            }
            for (n, d, p), model in sorted(self.models.items())
            if model.process is not None
        ]
        groups.append({"targets": [f"127.0.0.1:{self._ingress.port}"], "labels": {"namespace": "istio-system"}})
        text = json.dumps(groups)
        if not self.targets.exists() or self.targets.read_text() != text:
            fresh = self.targets.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(self.targets)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _end(model: RunningModel) -> None:
    if model.process is not None and model.process.poll() is None:
        stop_tree(model.process)
