"""The split as the ingress holds it: Istio's VirtualServices or Ambassador's Mappings, read back. Pure but for `path`.

Seldon's operator writes one route per predictor, to the predictor's own Service; the weights there are what requests
meet, whatever the SeldonDeployment asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from services.deployments.kubernetes.seldon import service_name
from services.domain import Deployment, Split

Ingress = Literal["ambassador", "istio", "none"]
Object = Mapping[str, Any]

_KINDS = {
    "istio": ("networking.istio.io/v1beta1", "virtualservices"),
    "ambassador": ("getambassador.io/v2", "mappings"),
}


def path(ingress: Ingress, namespace: str | None) -> str | None:
    """Path of the ingress' route objects; None for an ingress that has none."""
    if ingress not in _KINDS:
        return None
    group, plural = _KINDS[ingress]
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{group}{where}/{plural}"


def split_of(deployment: Deployment, routes: Iterable[Object]) -> Split | None:
    """The weights that `routes` give to the deployment's live predictors; None where they say nothing of it."""
    services = {service_name(deployment.name, p.name): p.name for p in deployment.live}
    weights: dict[str, int | None] = {}
    for route in routes:
        if (route.get("metadata") or {}).get("namespace") == deployment.namespace:
            for host, weight in _weights(route):
                if predictor := services.get(_service(host)):
                    weights[predictor] = weight
    if not weights:
        return None
    # Ambassador leaves the weight of one mapping out: it takes what the others leave.
    unsaid = [name for name, weight in weights.items() if weight is None]
    rest = 100 - sum(weight for weight in weights.values() if weight is not None)
    shares = {name: max(0, rest) // len(unsaid) if weight is None else weight for name, weight in weights.items()}
    return Split.of((p.name, shares.get(p.name, 0)) for p in deployment.live)


def _weights(route: Object) -> Iterator[tuple[str, int | None]]:
    spec = route.get("spec") or {}
    if "service" in spec:  # a Mapping
        yield str(spec["service"]), spec.get("weight")
        return
    for rule in spec.get("http") or []:
        targets = rule.get("route") or []
        for target in targets:
            host = (target.get("destination") or {}).get("host", "")
            yield str(host), target.get("weight", 100 if len(targets) == 1 else 0)
        return  # the first rule takes the traffic; later ones are for gRPC and for pinned requests


def _service(host: str) -> str:
    """`wine-a` of `http://wine-a.seldon.svc.cluster.local:8000`."""
    return host.split("//")[-1].split(":")[0].split(".")[0]
