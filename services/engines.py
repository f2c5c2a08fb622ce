"""The engine that the settings choose, with what only it needs: its health checks and its end.

Nothing else in Decant asks which engine is behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.deployments.engine import Engine
from services.deployments.identity import Identify, installation, once
from services.deployments.local import LocalEngine
from services.deployments.senders import Senders
from services.errors import Unavailable
from services.runtime.controller.status import HEARTBEAT_STALE_S, heartbeat_age_s
from services.runtime.envoy.admin import EnvoyAdmin
from services.runtime.envoy.bootstrap import admin_socket
from services.settings import Settings


@dataclass(frozen=True)
class ChosenEngine:
    """An engine and what stands behind it.

    Attributes:
        checks: the parts that it consists of, each with a check as in services.health.
        remote: whether those parts run elsewhere, so that starting and stopping Decant leaves them alone.
        entrance: the one of them through which predictions go; "" where nobody can check it.
        identity: says which engine it is, among all that a shared evidence store has heard of.
        close: ends what it keeps open, such as watches.
        senders: share large replays; None where nothing can start them.
    """

    engine: Engine
    checks: Mapping[str, Callable[[], str]]
    remote: bool
    entrance: str
    identity: Identify
    close: Callable[[], None]
    senders: Senders | None = None


def choose_engine(settings: Settings) -> ChosenEngine:
    """Build it. Cheap: nothing is asked over a network."""
    return _local(settings) if settings.runs_locally else _kubernetes(settings)


def _local(settings: Settings) -> ChosenEngine:
    checks = {"Gateway": lambda: _gateway(settings), "Controller": lambda: beating(settings, "controller")}
    return ChosenEngine(
        LocalEngine(settings),
        checks,
        remote=False,
        entrance="Gateway",
        identity=once(lambda: installation(settings.paths.root)),
        close=lambda: None,
    )


def _kubernetes(settings: Settings) -> ChosenEngine:
    # Imported late: the client takes a second to load, and on one machine nobody needs it.
    from services.deployments.kubernetes import health
    from services.deployments.kubernetes.cluster import Cluster
    from services.deployments.kubernetes.engine import KubernetesEngine
    from services.deployments.kubernetes.options import ClusterOptions
    from services.deployments.kubernetes.sender_jobs import SenderJobs

    options = ClusterOptions(
        kubeconfig=settings.kubeconfig,
        context=settings.kube_context,
        namespaces=settings.allowed_namespaces,
        ingress=settings.ingress,
        ingress_url=settings.ingress_url,
        impersonate=settings.sign_in == "oidc",  # the cluster then decides what each person may do
    )
    engine = KubernetesEngine(options)
    cluster = Cluster(options.kubeconfig, options.context)
    checks: dict[str, Callable[[], str]] = {
        "Kubernetes": lambda: health.api_server(cluster),
        "Seldon Core": lambda: health.seldon_core(cluster),
    }
    if settings.ingress_url:
        checks["Ingress"] = lambda: health.ingress(settings.ingress_url)
    entrance = "Ingress" if settings.ingress_url else ""
    pod, place = settings.pod_name, settings.pod_namespace
    return ChosenEngine(
        engine,
        checks,
        remote=True,
        entrance=entrance,
        identity=once(lambda: health.identity(cluster, settings.cluster_name)),
        close=engine.close,
        senders=SenderJobs(cluster, pod, place, settings.sender_account) if pod and place else None,
    )


def _gateway(settings: Settings) -> str:
    if not EnvoyAdmin(admin_socket(settings)).ready():
        raise Unavailable("The gateway", "", f"It restarts by itself; see {settings.paths.log / 'envoy.log'} if not.")
    return settings.gateway_url


def beating(settings: Settings, part: str) -> str:
    """Raises Unavailable if the part (controller, worker) has given no sign of life for a while."""
    age_s = heartbeat_age_s(settings.paths, part)
    if age_s is None or age_s > HEARTBEAT_STALE_S:
        last = "" if age_s is None else f"last sign of life {age_s:.0f} s ago"
        hint = f"Start Decant with `make run`; see {settings.paths.log / f'{part}.log'}."
        raise Unavailable(f"The {part}", last, hint)
    return "runs"
