"""CustomResourceDefinitions of the ingresses' routes, open: for an API server without Istio or Ambassador."""

from __future__ import annotations

from typing import Any

_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_KINDS = (
    ("networking.istio.io", "v1beta1", "VirtualService", "virtualservices"),
    ("getambassador.io", "v2", "Mapping", "mappings"),
)


def ingress_crds() -> list[dict[str, Any]]:
    """One definition for each kind of route that Decant reads."""
    return [_definition(*kind) for kind in _KINDS]


def _definition(group: str, version: str, kind: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": _OPEN, "status": _OPEN}}
    versions = [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
    }
