"""Deployments as Seldon's operator writes them and the Deployment controller counts them, for servers without either.

What stands in a template is what Decant can tell a wish by: the init container that fetches the model, and the model's
container laid over by the `componentSpecs`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.failures import ApiRefused
from services.deployments.kubernetes.seldon import apps_deployments, hashed_workloads, service_name

Object = dict[str, Any]

AVAILABLE = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
DONE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
COMING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
GIVEN_UP = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def refused(words: str) -> Object:
    """The condition of a Deployment whose pods are not let in."""
    return {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}


def name_of(found: Mapping[str, Any], predictor: Mapping[str, Any]) -> str:
    owner, node = found["metadata"]["name"], predictor["graph"]["name"]
    hashed = hashed_workloads(owner, predictor["name"], node)
    return hashed[0] if hashed else f"{owner}-{predictor['name']}-0-{node}"


def deployment_of(found: Mapping[str, Any], predictor: Mapping[str, Any]) -> Object:
    """What the operator makes of a predictor of one node."""
    metadata, graph = found["metadata"], predictor["graph"]
    name = name_of(found, predictor)
    labels = {
        "app.kubernetes.io/managed-by": "seldon-core",
        "seldon-deployment-id": metadata["name"],
        "seldon-app": service_name(metadata["name"], predictor["name"]),
        "app": name,
    }
    asked: Object = next(
        (
            one
            for component in predictor.get("componentSpecs") or []
            for one in component["spec"].get("containers") or []
            if one["name"] == graph["name"]
        ),
        {},
    )
    initializers = [_initializer(graph)] if graph.get("modelUri") else []
    container = {
        **copy.deepcopy(asked),
        "name": graph["name"],
        "image": "seldonio/mlflowserver:1.19.0",
        "env": [{"name": "PREDICTIVE_UNIT_PARAMETERS", "value": json.dumps(graph.get("parameters") or [])}],
        "ports": [{"name": "http", "containerPort": 9000}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": metadata["namespace"], "labels": labels},
        "spec": {
            "replicas": predictor.get("replicas", 1),
            "progressDeadlineSeconds": predictor.get("progressDeadlineSeconds", 600),
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"initContainers": initializers, "containers": [container]},
            },
        },
    }


def _initializer(graph: Mapping[str, Any]) -> Object:
    uri = graph["modelUri"]
    fetched = f"/mnt/pvc/{uri.removeprefix('pvc://').partition('/')[2]}" if uri.startswith("pvc://") else uri
    made: Object = {
        "name": f"{graph['name']}-model-initializer"[:63].removesuffix("-"),
        "image": "seldonio/rclone-storage-initializer:1.19.0",
        "args": [fetched, "/mnt/models"],
    }
    if secret := graph.get("envSecretRefName"):
        made["envFrom"] = [{"secretRef": {"name": secret}}]
    return made


def figures(replicas: int, *, updated: int | None = None, ready: int | None = None, old: int = 0) -> Object:
    """A status: of `replicas` pods all are of the newest template and answer, unless it is said otherwise.

    `old` pods of before answer besides.
    """
    made = replicas if updated is None else updated
    answer = old + (made if ready is None else ready)
    status: Object = {
        "replicas": made + old,
        "updatedReplicas": made,
        "readyReplicas": answer,
        "availableReplicas": answer,
    }
    return {**status, "conditions": [AVAILABLE, DONE] if answer >= replicas and not old else [COMING]}


def carry_out(cluster: Cluster, found: Mapping[str, Any], predictor: Mapping[str, Any]) -> Object:
    """What the operator does: write the predictor's Deployment, whose figures nobody has looked at yet."""
    made = deployment_of(found, predictor)
    path = apps_deployments(found["metadata"]["namespace"])
    try:
        return cluster.send("POST", path, made)
    except ApiRefused as error:
        if error.reason != "AlreadyExists":
            raise
    one = f"{path}/{made['metadata']['name']}"
    present = cluster.get(one)
    return cluster.send("PUT", one, {**present, "spec": made["spec"]})


def count(cluster: Cluster, deployment: Object, status: Object) -> Object:
    """What the Deployment controller does: write figures of the Deployment as it is."""
    metadata = deployment["metadata"]
    one = f"{apps_deployments(metadata['namespace'])}/{metadata['name']}"
    told = {"observedGeneration": metadata["generation"], **status}
    return cluster.send("PUT", f"{one}/status", {**cluster.get(one), "status": told})


def roll_out(cluster: Cluster, found: Mapping[str, Any]) -> None:
    """Both, for every predictor at once: all pods are of the newest template and answer. Others' leftovers go."""
    namespace, owner = found["metadata"]["namespace"], found["metadata"]["name"]
    wanted = set()
    for predictor in found["spec"]["predictors"]:
        made = carry_out(cluster, found, predictor)
        wanted.add(made["metadata"]["name"])
        count(cluster, made, figures(predictor.get("replicas", 1)))
    remove(cluster, namespace, owner, keep=wanted)


def remove(cluster: Cluster, namespace: str, owner: str, *, keep: frozenset[str] | set[str] = frozenset()) -> None:
    """What the operator does with Deployments of predictors that are gone, and the garbage collector with all."""
    listed = cluster.get(apps_deployments(namespace), {"labelSelector": f"seldon-deployment-id={owner}"})["items"]
    for name in {one["metadata"]["name"] for one in listed} - keep:
        try:
            cluster.send("DELETE", f"{apps_deployments(namespace)}/{name}", {"propagationPolicy": "Background"})
        except ApiRefused as error:
            if error.reason != "NotFound":
                raise
