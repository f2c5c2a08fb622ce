"""The routes that Seldon's operator writes for a deployment: for Istio, for Ambassador 2, and for Ambassador 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.routes import MAPPINGS, VIRTUAL_SERVICES, path
from services.deployments.kubernetes.seldon import SERVICE_PORT, core, service_name

Object = dict[str, Any]


def shares_of(found: Mapping[str, Any]) -> dict[str, int]:
    """Traffic by live predictor, a lone one having it all."""
    live = [p for p in found["spec"]["predictors"] if not p.get("shadow")]
    return {p["name"]: 100 if len(live) == 1 else p.get("traffic", 0) for p in live}


def write_virtual_service(cluster: Cluster, found: Mapping[str, Any], shares: Mapping[str, int]) -> None:
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    targets = [
        {"destination": {"host": service_name(name, arm), "port": {"number": SERVICE_PORT}}, "weight": share}
        for arm, share in shares.items()
    ]
    spec = {"hosts": ["*"], "http": [{"route": targets}]}
    made = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "spec": spec}
    _put(cluster, path(VIRTUAL_SERVICES, namespace), {**made, "metadata": {"name": f"{name}-http"}})


def write_mappings(cluster: Cluster, found: Mapping[str, Any], shares: Mapping[str, int | None]) -> None:
    """One Mapping per arm; None leaves the weight out, as the operator does for the first arm."""
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    for arm, share in shares.items():
        spec = _mapping(name, namespace, arm, share)
        made = {"apiVersion": "getambassador.io/v2", "kind": "Mapping", "spec": spec}
        _put(cluster, path(MAPPINGS, namespace), {**made, "metadata": {"name": f"{name}-{arm}-rest"}})


def write_annotated_services(cluster: Cluster, namespace: str, name: str, shares: Mapping[str, int]) -> None:
    """Ambassador 1: the Mappings as YAML on the arms' Services, without a weight where it is 0."""
    for place, (arm, share) in enumerate(shares.items()):
        spec = _mapping(name, namespace, arm, share if place and share else None)
        text = "---\n" + yaml.safe_dump({"apiVersion": "ambassador/v1", "kind": "Mapping", **spec})
        metadata = {"name": service_name(name, arm), "annotations": {"getambassador.io/config": text}}
        spec = {"ports": [{"port": SERVICE_PORT}]}
        cluster.send("POST", core(namespace, "services"), {"kind": "Service", "metadata": metadata, "spec": spec})


def _mapping(name: str, namespace: str, arm: str, share: int | None) -> Object:
    service = f"{service_name(name, arm)}.{namespace}:{SERVICE_PORT}"
    weight = {} if share is None else {"weight": share}
    return {"prefix": f"/seldon/{namespace}/{name}/", "rewrite": "/", "service": service, **weight}


def _put(cluster: Cluster, collection: str, made: Object) -> None:
    try:
        cluster.send("POST", collection, made)
    except ApiRefused as refused:
        if refused.reason != "AlreadyExists":
            raise
        one = f"{collection}/{made['metadata']['name']}"
        cluster.send("PUT", one, {**cluster.get(one), "spec": made["spec"]})
