"""A minimal CustomResourceDefinition of SeldonDeployment: the real group, version and status subresource, open schema.

It lets an API server keep SeldonDeployments without Seldon Core. What the real one refuses is tested against
`schema.py`; whoever has the real definition gives its path in DECANT_TEST_SELDON_CRD.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_PREDICTOR = {
    "type": "object",
    "required": ["name", "graph"],
    "properties": {
        "name": {"type": "string"},
        "traffic": {"type": "integer", "format": "int32"},
        "replicas": {"type": "integer", "format": "int32"},
        "shadow": {"type": "boolean"},
        "graph": _OPEN,
    },
    "x-kubernetes-preserve-unknown-fields": True,
}


def seldon_crd() -> dict[str, Any]:
    """The definition to install, as plain data."""
    if given := os.environ.get("DECANT_TEST_SELDON_CRD"):
        loaded: dict[str, Any] = yaml.safe_load(Path(given).read_text())
        return loaded
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["predictors"],
                "properties": {
                    "name": {"type": "string"},
                    "predictors": {"type": "array", "minItems": 1, "items": _PREDICTOR},
                },
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "status": _OPEN,
        },
    }
    group = "machinelearning.seldon.io"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"seldondeployments.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": "SeldonDeployment",
                "listKind": "SeldonDeploymentList",
                "plural": "seldondeployments",
                "singular": "seldondeployment",
                "shortNames": ["sdep"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
