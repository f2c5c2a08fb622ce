"""Which arm made an answer, as far as the answer tells. Pure.

In this order: what Decant's own gateway and model servers say; the arm that was asked past the split; the graph node
that signed it (Seldon's `meta.requestPath`, V2's `model_name`), where the arms' nodes have different names; the Service
that a mesh names in its header. Nothing is guessed: an answer that tells nothing belongs to no arm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from services.domain import Endpoint

ARM_HEADER = "x-decant-predictor"
"""On a response: the arm that answered. On a request: the arm that must."""

ARM_PATH_KEY = "decant.dev/predictor"
"""Entry of a response's meta.requestPath with the same name, for what passes no gateway."""

MESH_HEADER = "x-envoy-decorator-operation"
"""Istio's sidecars name the Service that was asked here: `wine-a.seldon.svc.cluster.local:8000/*`."""

UNKNOWN_ARM = "the answer does not say which arm made it, so its reward is nobody's and was not sent"


def answering_arm(headers: Mapping[str, str], body: object, endpoint: Endpoint) -> str:
    """The predictor that made the response, or "" if nothing tells. `headers` are found in any case of their names."""
    named = headers.get(ARM_HEADER)
    if named:
        return named
    if endpoint.predictor:
        return endpoint.predictor
    known = [arm.predictor for arm in endpoint.arms]
    if (said := _said(body)) and (not known or said in known):  # a model's own tags may hold anything
        return said
    if known:
        nodes, host = _nodes(body), headers.get(MESH_HEADER, "").partition(".")[0]
        return _only(arm.predictor for arm in endpoint.arms if arm.node in nodes) or _only(
            arm.predictor for arm in endpoint.arms if arm.service and arm.service == host
        )
    return next((value for key, value in endpoint.headers if key.lower() == ARM_HEADER), "")


def _said(body: object) -> str:
    """What a model server of Decant's own says of itself."""
    meta = _part(body, "meta")
    for holder, key in (
        (_part(meta, "requestPath"), ARM_PATH_KEY),
        (_part(meta, "tags"), "predictor"),
        (_part(body, "parameters"), "predictor"),
    ):
        if told := holder.get(key):
            return str(told)
    return ""


def _nodes(body: object) -> Collection[str]:
    path = _part(_part(body, "meta"), "requestPath")
    model = body.get("model_name") if isinstance(body, Mapping) else None
    return [*map(str, path), str(model)] if model else list(map(str, path))


def _part(body: object, key: str) -> Mapping[str, object]:
    found = body.get(key) if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _only(found: Iterable[str]) -> str:
    names = list(found)
    return names[0] if len(names) == 1 else ""
