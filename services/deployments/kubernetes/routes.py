"""The split as the ingress holds it: Istio's VirtualServices or Ambassador's Mappings, read back. Pure.

Seldon's operator writes one route per predictor, to the predictor's own Service; the weights there are what requests
meet, whatever the SeldonDeployment asks for. For Ambassador it writes Mappings, or, where it serves Ambassador 1, the
same in an annotation of the predictors' Services; that form loses a weight of 0 (seldon-core issue 4067).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import yaml

from services.deployments.kubernetes.seldon import core, service_name
from services.domain import Deployment, Split

Ingress = Literal["ambassador", "istio", "none"]
Object = Mapping[str, Any]

MAPPINGS, SERVICES, VIRTUAL_SERVICES = "mappings", "services", "virtualservices"
KINDS: Mapping[Ingress, tuple[str, ...]] = {
    "istio": (VIRTUAL_SERVICES,),
    "ambassador": (MAPPINGS, SERVICES),
    "none": (),
}
"""Where each ingress' routes are to be found."""
_GROUPS = {VIRTUAL_SERVICES: "networking.istio.io/v1beta1", MAPPINGS: "getambassador.io/v2"}
_ANNOTATION = "getambassador.io/config"
_PREFIX = "/seldon/"
"""How the paths of Seldon's deployments begin."""


def path(kind: str, namespace: str | None) -> str:
    """Path of the objects of one of KINDS, in a namespace or the whole cluster."""
    if kind == SERVICES:
        return core(namespace, SERVICES)
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{_GROUPS[kind]}{where}/{kind}"


def annotated(found: Object) -> bool:
    """Whether this is a Service that carries routes for Ambassador 1."""
    return _ANNOTATION in ((found.get("metadata") or {}).get("annotations") or {})


def of_seldon(found: Object) -> bool:
    """Whether this Mapping, or Service with Mappings in its annotation, is one that Seldon's operator wrote."""
    if annotated(found):
        mappings = _mappings(str(found["metadata"]["annotations"][_ANNOTATION]))
    else:
        mappings = [found.get("spec") or {}]
    return any(str(mapping.get("prefix", "")).startswith(_PREFIX) for mapping in mappings)


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
    if annotated(route):
        for mapping in _mappings(str(route["metadata"]["annotations"][_ANNOTATION])):
            yield str(mapping.get("service", "")), mapping.get("weight")
        return
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


def _mappings(text: str) -> list[Object]:
    """The Mappings in an annotation; nothing where somebody wrote something else there."""
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return []
    return [d for d in documents if isinstance(d, Mapping) and d.get("kind") == "Mapping" and not d.get("grpc")]


def _service(host: str) -> str:
    """`wine-a` of `http://wine-a.seldon.svc.cluster.local:8000`."""
    return host.split("//")[-1].split(":")[0].split(".")[0]
