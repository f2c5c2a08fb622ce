"""A real Kubernetes API server for tests: etcd and kube-apiserver, found the way envtest finds them, or any cluster.

`KUBEBUILDER_ASSETS` names a folder with `etcd` and `kube-apiserver` (default: /usr/local/kubebuilder/bin, as
envtest's); `DECANT_TEST_KUBECONFIG` names a cluster to use instead.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.deployments.kubernetes import routes
from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.options import ClusterOptions
from services.deployments.kubernetes.routes import Ingress
from services.deployments.kubernetes.seldon import collection
from services.errors import DecantError
from tests.support.crd.definition import seldon_crd
from tests.support.crd.ingresses import ingress_crds
from tests.support.waiting import wait_until

DEFAULT_ASSETS = "/usr/local/kubebuilder/bin"
START_TIMEOUT_S = 90
NO_SERVER = (
    "No Kubernetes API server to test against: put etcd and kube-apiserver into KUBEBUILDER_ASSETS "
    f"(default {DEFAULT_ASSETS}), or name a cluster with DECANT_TEST_KUBECONFIG."
)


def found() -> bool:
    """Whether this machine has what a test cluster needs."""
    return bool(os.environ.get("DECANT_TEST_KUBECONFIG")) or all(_assets().values())


@dataclass
class TestCluster:
    """An API server that tests may fill: `kubeconfig` is an administrator's."""

    __test__ = False

    kubeconfig: Path
    users: Mapping[str, Path] = field(default_factory=dict)  # kubeconfigs of accounts without any right
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    log: Path = Path(os.devnull)
    audit: Path | None = None  # where the server writes what service accounts ask of it; None: it is not ours to know

    @property
    def admin(self) -> Cluster:
        return Cluster(str(self.kubeconfig))

    def namespace(self) -> str:
        """A fresh namespace."""
        name = f"test-{secrets.token_hex(4)}"
        self.admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def options(
        self,
        *namespaces: str,
        user: str = "",
        impersonate: bool = False,
        ingress: Ingress = "istio",
        ingress_url: str = "http://ingress.test",
    ) -> ClusterOptions:
        """How an engine reaches this cluster: as the administrator, or as a user without rights of its own."""
        return ClusterOptions(
            kubeconfig=str(self.users[user] if user else self.kubeconfig),
            namespaces=namespaces,
            ingress=ingress,
            ingress_url=ingress_url,
            impersonate=impersonate,
        )

    def stop_server(self) -> None:
        """End the API server, not its storage; at once, since it would wait for every open watch."""
        server = self.processes.pop()
        server.kill()
        server.wait(timeout=30)

    def start_server(self) -> None:
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT))
        _wait_ready(self)


@contextmanager
def running(folder: Path) -> Iterator[TestCluster]:
    """The cluster of DECANT_TEST_KUBECONFIG, or an API server of our own in `folder`; with the CRD installed."""
    if given := os.environ.get("DECANT_TEST_KUBECONFIG"):
        cluster = TestCluster(Path(given))
        _install_crds(cluster)
        yield cluster
        return
    cluster = _start(folder)
    try:
        _wait_ready(cluster)
        _install_crds(cluster)
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()


def _assets() -> dict[str, str | None]:
    folder = os.environ.get("KUBEBUILDER_ASSETS", DEFAULT_ASSETS)
    search = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    return {name: shutil.which(name, path=search) for name in ("etcd", "kube-apiserver")}


def _start(folder: Path) -> TestCluster:
    assets = _assets()
    etcd_port, peer_port, api_port = _free_ports(3)
    etcd_url, peer_url = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
    tokens = {name: secrets.token_hex(16) for name in ("admin", "ada", "bob")}
    (folder / "tokens.csv").write_text(
        "".join(
            f"{token},{name},{name}{',system:masters' if name == 'admin' else ''}\n" for name, token in tokens.items()
        )
    )
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    log = folder / "server.log"
    etcd = [
        str(assets["etcd"]),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
    ]
    server = [
        str(assets["kube-apiserver"]),
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        f"--secure-port={api_port}",
        f"--cert-dir={folder / 'certs'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-account-key-file={folder / 'sa.key'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-account-issuer=https://127.0.0.1",
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={_audit_policy(folder / 'audit.yaml')}",
        f"--audit-log-path={folder / 'audit.log'}",
    ]
    configs = {name: _kubeconfig(folder / f"{name}.yaml", api_port, token) for name, token in tokens.items()}
    cluster = TestCluster(configs.pop("admin"), configs, command=server, log=log, audit=folder / "audit.log")
    with log.open("ab") as out:
        for command in (etcd, server):
            cluster.processes.append(
                subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=_etcd_environment())
            )
    return cluster


def _audit_policy(path: Path) -> Path:
    """Each request of a service account when it comes, since a watch may go on for minutes, and when it is answered."""
    of_accounts = {"level": "Metadata", "userGroups": ["system:serviceaccounts"]}
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "rules": [of_accounts, {"level": "None"}],
    }
    path.write_text(yaml.safe_dump(policy))
    return path


def _etcd_environment() -> dict[str, str]:
    # Debian's etcd is older than some names of variables; unset is always understood.
    return {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}


def _kubeconfig(path: Path, port: int, token: str) -> Path:
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority": str(path.parent / "certs" / "apiserver.crt"),
    }
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def _wait_ready(cluster: TestCluster) -> None:
    def ready() -> bool:
        dead = [p.args for p in cluster.processes if p.poll() is not None]
        assert not dead, f"ended: {dead}\n{cluster.log.read_text()[-3000:]}"
        try:
            return "namespaces" in str(cluster.admin.get("/api/v1")) and bool(
                cluster.admin.get("/api/v1/namespaces/default")
            )
        except DecantError:
            return False

    wait_until(ready, timeout_s=START_TIMEOUT_S, what="the API server to answer")


def _install_crds(cluster: TestCluster) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in (seldon_crd(), *ingress_crds()):
        try:
            cluster.admin.send("POST", path, definition)
        except ApiRefused as refused:
            if refused.reason != "AlreadyExists":
                raise

    def served() -> bool:
        try:
            for kind in (collection(), routes.path(routes.VIRTUAL_SERVICES, None), routes.path(routes.MAPPINGS, None)):
                cluster.admin.get(kind)
        except ApiRefused:
            return False
        return True

    wait_until(served, timeout_s=30, what="the API server to serve SeldonDeployments and routes")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
