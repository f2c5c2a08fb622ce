"""A small structural schema of SeldonDeployment v1, written by hand from the API's public field names.

Source of the facts: the `machinelearning.seldon.io/v1` CustomResourceDefinition of Seldon Core 1.x
(operator/config/crd/bases in its repository) and its validating webhook: names of fields, their types, and which
values of `implementation` and parameter `type` exist. Only the fields that Decant writes are here, and no others are
allowed: a real API server would silently prune an unknown field, this schema refuses it. So whatever is local to
Decant cannot slip into `spec` unnoticed.
"""

from __future__ import annotations

from typing import Any

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}


def _exactly(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_PARAMETER = _exactly(
    ["name", "value", "type"],
    name={"type": "string"},
    value={"type": "string"},
    type={"enum": ["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]},
)
_HTTP_GET = _exactly(
    ["port"], path={"type": "string"}, port={"type": ["string", "integer"]}, scheme={"enum": ["HTTP", "HTTPS"]}
)
_PROBE = _exactly(
    ["httpGet"],
    httpGet=_HTTP_GET,
    initialDelaySeconds={"type": "integer", "minimum": 0},
    periodSeconds={"type": "integer", "minimum": 1},
    failureThreshold={"type": "integer", "minimum": 1},
)
_CONTAINER = _exactly(
    ["name"],
    name=_NAME,
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    resources=_exactly([], requests=_STRINGS, limits=_STRINGS),
)
_COMPONENT = _exactly(["spec"], spec=_exactly(["containers"], containers={"type": "array", "items": _CONTAINER}))
_GRAPH = _exactly(
    ["name"],
    name=_NAME,
    implementation={"const": "MLFLOW_SERVER"},
    modelUri={"type": "string", "minLength": 1},
    envSecretRefName={"type": "string", "minLength": 1},
    children={"type": "array", "maxItems": 0},
    parameters={"type": "array", "items": _PARAMETER},
)
_PREDICTOR = _exactly(
    ["name", "graph"],
    name=_NAME,
    graph=_GRAPH,
    replicas={"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    traffic={"type": "integer", "minimum": 0, "maximum": 100},
    shadow={"type": "boolean"},
    progressDeadlineSeconds={"type": "integer", "minimum": 1},
    annotations=_STRINGS,
    componentSpecs={"type": "array", "items": _COMPONENT},
)
SELDON_DEPLOYMENT = _exactly(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "machinelearning.seldon.io/v1"},
    kind={"const": "SeldonDeployment"},
    metadata=_exactly(["name", "namespace"], name=_NAME, namespace=_NAME, annotations=_STRINGS),
    spec=_exactly(
        ["predictors"],
        name={"type": "string"},
        protocol={"enum": ["seldon", "tensorflow", "kfserving", "v2"]},
        predictors={"type": "array", "minItems": 1, "items": _PREDICTOR},
    ),
)
