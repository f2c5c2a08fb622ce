"""Deployment <-> SeldonDeployment manifest. Pure: no files, no clock.

What this writes is accepted by Seldon Core's own CRD; everything that only Decant needs is an annotation under
`decant.dev/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from services.deployments.containers import DEADLINE, budget_and_resources, container_of, deadline_s
from services.domain import PROTOCOLS, Deployment, Parameter, Predictor, Provenance
from services.errors import InvalidDeployment, InvalidInput

API_VERSION = "machinelearning.seldon.io/v1"
READABLE_VERSIONS = (API_VERSION, "machinelearning.seldon.io/v1alpha2", "machinelearning.seldon.io/v1alpha3")
PREFIX = "decant.dev/"
CHANGED_BY = f"{PREFIX}changed-by"
CHANGED_AT = f"{PREFIX}changed-at"
CHANGE_REASON = f"{PREFIX}change-reason"
NONCE = f"{PREFIX}nonce"
PODS_CHANGED_AT = f"{PREFIX}pods-changed-at"
STAMPS = (CHANGED_BY, CHANGED_AT, CHANGE_REASON, NONCE, PODS_CHANGED_AT)
"""Annotations that an engine adds at each write: they say who wrote it when, not what the deployment is."""
_PROVENANCE = {
    "run_id": f"{PREFIX}run-id",
    "run_name": f"{PREFIX}run-name",
    "model_id": f"{PREFIX}model-id",
    "registered_name": f"{PREFIX}registered-model",
    "registered_version": f"{PREFIX}registered-version",
}


def to_manifest(deployment: Deployment, extra_annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The SeldonDeployment as plain data, ready for YAML or an API server."""
    annotations = {**dict(deployment.annotations), **(extra_annotations or {})}
    metadata: dict[str, Any] = {"name": deployment.name, "namespace": deployment.namespace}
    if annotations:
        metadata["annotations"] = annotations
    spec: dict[str, Any] = {"name": deployment.name}
    if deployment.protocol != "seldon":
        spec["protocol"] = deployment.protocol
    spec["predictors"] = [_predictor_to_manifest(p, deployment.protocol) for p in deployment.predictors]
    return {"apiVersion": API_VERSION, "kind": "SeldonDeployment", "metadata": metadata, "spec": spec}


def _predictor_to_manifest(predictor: Predictor, protocol: str) -> dict[str, Any]:
    graph: dict[str, Any] = {
        "children": [],
        "implementation": "MLFLOW_SERVER",
        "modelUri": predictor.model_uri,
        "name": predictor.node_name,
    }
    if predictor.env_secret:
        graph["envSecretRefName"] = predictor.env_secret
    if predictor.parameters:
        graph["parameters"] = [{"name": p.name, "value": p.value, "type": p.type} for p in predictor.parameters]
    body: dict[str, Any] = {
        "name": predictor.name,
        "replicas": predictor.replicas,
        "traffic": predictor.traffic,
        "graph": graph,
    }
    if (deadline := deadline_s(predictor.start_budget_s)) is not None:
        body[DEADLINE] = deadline
    if container := container_of(predictor, protocol):
        body["componentSpecs"] = [{"spec": {"containers": [container]}}]
    provenance = {
        label: value for key, label in _PROVENANCE.items() if (value := getattr(predictor.provenance, key)) is not None
    }
    if provenance:
        body["annotations"] = provenance
    if predictor.shadow:
        body["shadow"] = True
    return body


def from_manifest(data: object) -> Deployment:
    """Read a SeldonDeployment, whoever wrote it.

    Raises:
        InvalidInput: if it is not a SeldonDeployment at all.
        InvalidDeployment: if it asks for something other than one MLflow model per predictor.
    """
    if not isinstance(data, Mapping) or data.get("kind") != "SeldonDeployment":
        raise InvalidInput("This is not a SeldonDeployment manifest.", "Its `kind` must be SeldonDeployment.")
    if data.get("apiVersion") not in READABLE_VERSIONS:
        raise InvalidInput(
            f"apiVersion “{data.get('apiVersion')}” is not one that Decant reads.", f"Use {API_VERSION}."
        )
    metadata, spec = data.get("metadata"), data.get("spec")
    if not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
        raise InvalidInput("The manifest has no metadata or no spec.")
    name = str(metadata.get("name", ""))
    raw_predictors = spec.get("predictors")
    if not isinstance(raw_predictors, list) or not all(isinstance(p, Mapping) for p in raw_predictors):
        raise InvalidDeployment(name, ["spec.predictors is not a list of predictors"])
    lone = len(raw_predictors) == 1
    return Deployment(
        namespace=str(metadata.get("namespace") or "seldon"),
        name=name,
        predictors=tuple(_predictor_from_manifest(name, p, lone) for p in raw_predictors),
        annotations=tuple(sorted((str(k), str(v)) for k, v in (metadata.get("annotations") or {}).items())),
        protocol=_protocol(name, spec.get("protocol")),
    )


def _protocol(deployment: str, told: object) -> str:
    protocol = "seldon" if told in (None, "") else "v2" if told == "kfserving" else told  # V2's name in older Seldons
    if protocol not in PROTOCOLS:
        raise InvalidDeployment(deployment, [f"it speaks {told}; Decant speaks {' and '.join(PROTOCOLS)}"])
    return str(protocol)


def _predictor_from_manifest(deployment: str, raw: Mapping[str, Any], lone: bool) -> Predictor:
    name = str(raw.get("name", ""))
    graph = raw.get("graph")
    if not isinstance(graph, Mapping):
        raise InvalidDeployment(deployment, [f"predictor {name} has no graph"])
    if graph.get("children"):
        raise InvalidDeployment(deployment, [f"the graph of {name} has children; Decant runs one model per predictor"])
    implementation = graph.get("implementation", "MLFLOW_SERVER")
    if implementation != "MLFLOW_SERVER":
        raise InvalidDeployment(deployment, [f"{name} wants {implementation}; Decant runs MLFLOW_SERVER"])
    annotations = raw.get("annotations") or {}
    try:
        traffic, replicas = int(raw.get("traffic", 100 if lone else 0)), int(raw.get("replicas", 1))
    except (TypeError, ValueError) as error:
        raise InvalidDeployment(deployment, [f"traffic and replicas of {name} must be whole numbers"]) from error
    budget_s, resources = budget_and_resources(raw, str(graph.get("name", "")))
    # Seldon gives a lone predictor everything whether it says 0 or 100.
    return Predictor(
        name=name,
        model_uri=str(graph.get("modelUri", "")),
        traffic=100 if lone and traffic == 0 else traffic,
        replicas=replicas,
        shadow=bool(raw.get("shadow", False)),
        node="" if graph.get("name") == f"{name}-model" else str(graph.get("name", "")),
        provenance=Provenance(
            **{key: str(annotations[label]) for key, label in _PROVENANCE.items() if label in annotations}
        ),
        parameters=tuple(
            Parameter(str(p.get("name", "")), str(p.get("value", "")), str(p.get("type", "STRING")))
            for p in graph.get("parameters") or []
        ),
        env_secret=str(graph.get("envSecretRefName") or ""),
        start_budget_s=budget_s,
        resources=resources,
    )


def to_yaml(manifest: Mapping[str, Any]) -> str:
    """Stable YAML: the order of the fields is the order a person would write them in."""
    return yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True, width=120)


def without_stamps(text: str) -> str:
    """A manifest's YAML without who changed it when: what two versions of a deployment are compared by."""
    data = yaml.safe_load(text)
    metadata = data["metadata"]
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in STAMPS}
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return to_yaml({**data, "metadata": {**rest, **({"annotations": kept} if kept else {})}})


def from_yaml(text: str) -> Deployment:
    """Raises InvalidInput if the text is not YAML or not a SeldonDeployment."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The manifest is not valid YAML: {error}") from error
    return from_manifest(data)
