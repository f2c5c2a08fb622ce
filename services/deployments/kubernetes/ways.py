"""How requests reach a deployment in a cluster, and how one tells which arm answered. Pure but for the relay.

Seldon's ingress divides feedback again, whoever answered, and where the arms' graph nodes have one name its answers do
not say who made them. So the ingress is used where answers can be told apart; else Decant draws the arm itself, by the
split in force, and asks the arm's own Service. Feedback always goes to that Service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.seldon import SERVICE_PORT, service_name
from services.domain import Arm, Deployment, DeploymentStatus, Endpoint, Predictor, ProxiedService, Relayed

PROXIED = (
    "Decant runs outside the cluster, so requests to an arm pass the API server, a few at a time: slower than inside, "
    "and the latency holds the detour."
)
_DRAWS = "Decant draws the arm of each request by the split in force and asks its own Service, past the ingress."
NO_INGRESS = f"No ingress is set (DECANT_INGRESS_URL). {_DRAWS}"
SAME_NODES = (
    "Graph nodes of several arms are called “{node}”, so answers through the ingress do not tell who made them. "
    f"{_DRAWS} With a name of its own for each node, requests go through the ingress."
)


@dataclass(frozen=True, slots=True)
class Ways:
    """What leads into the cluster from here.

    Attributes:
        ingress_url: address of the ingress; empty: there is none.
        api_server: address of the API server, whose service proxy is the way to an arm; empty inside the cluster.
    """

    ingress_url: str = ""
    api_server: str = ""

    def to_arm(self, deployment: Deployment, predictor: Predictor) -> Endpoint:
        """The predictor's own Service."""
        namespace, service = deployment.namespace, service_name(deployment.name, predictor.name)
        through = ProxiedService(namespace, service, SERVICE_PORT) if self.api_server else None
        return Endpoint(
            url=f"{self.api_server}{through.path}" if through else f"http://{service}.{namespace}:{SERVICE_PORT}",
            protocol=deployment.protocol,
            model=predictor.node_name,
            predictor=predictor.name,
            through=through,
            note=PROXIED if through else "",
            part=f"The Service {service}",
        )

    def to_split(self, status: DeploymentStatus) -> Endpoint:
        """The ingress where its answers name their arm, else the arms' own Services, drawn by the split."""
        deployment = status.deployment
        live = deployment.live
        shares = (status.in_force or status.requested).as_dict()
        if not any(shares.get(p.name, 0) for p in live):
            shares = status.requested.as_dict()
        arms = tuple(
            Arm(
                predictor=p.name,
                share=shares.get(p.name, 0),
                endpoint=self.to_arm(deployment, p),
                node=p.node_name,
                service=service_name(deployment.name, p.name),
            )
            for p in live
        )
        nodes = [p.node_name for p in live]
        shared = next((node for node in nodes if nodes.count(node) > 1), "")
        if not self.ingress_url or shared:
            note = SAME_NODES.format(node=shared) if self.ingress_url else NO_INGRESS
            way = f" {PROXIED}" if self.api_server else ""
            part = "The way to the arms"
            return Endpoint("", protocol=deployment.protocol, arms=arms, drawn=True, note=note + way, part=part)
        most = max(arms, key=lambda arm: arm.share)
        return Endpoint(
            url=f"{self.ingress_url.rstrip('/')}/seldon/{deployment.namespace}/{deployment.name}",
            protocol=deployment.protocol,
            model=most.node,  # Seldon's executor takes any; who asks for metadata asks an arm
            predictor=arms[0].predictor if len(arms) == 1 else "",
            arms=arms,
            part="The ingress",
        )


class ServiceRelay:
    """Passes requests to Services through the API server: implements `services.domain.Relay`.

    Args:
        impersonate: what is sent goes with the rights of `who`. What a model takes is read as Decant itself, as all is
            that is only read.
    """

    def __init__(self, cluster: Cluster, *, impersonate: bool, who: str = "") -> None:
        self._cluster, self._impersonate, self._who = cluster, impersonate, who

    def for_person(self, who: str) -> ServiceRelay:
        return ServiceRelay(self._cluster, impersonate=self._impersonate, who=who)

    def __call__(
        self, service: ProxiedService, path: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> Relayed:
        method = "GET" if body is None else "POST"
        as_user = self._who if self._impersonate and body is not None else ""
        answer = self._cluster.pass_on(method, service.path + path, body, headers, timeout_s, as_user=as_user)
        return Relayed(*answer)
