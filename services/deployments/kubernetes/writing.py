"""What is sent to the API server: the object of a server-side apply, and the patch that moves a split. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from services.deployments.manifest import STAMPS, to_manifest
from services.domain import Deployment

Object = dict[str, Any]


def applied_body(deployment: Deployment, notes: Mapping[str, str], present: Mapping[str, Any] | None) -> Object:
    """The SeldonDeployment to apply, bound to `present` where there is one.

    A predictor keeps whatever it holds that Decant does not write (component specs, secrets, probes): the list of
    predictors has one owner, so leaving such a field out would delete it.
    """
    kept = {key: value for key, value in deployment.annotations if key not in STAMPS}
    body = to_manifest(deployment)
    body["metadata"]["annotations"] = {**kept, **notes}
    if present is None:
        return body
    body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
    live = {p.get("name"): p for p in (present.get("spec") or {}).get("predictors") or []}
    body["spec"]["predictors"] = [_over(live.get(p["name"]), p) for p in body["spec"]["predictors"]]
    return body


def _over(live: Mapping[str, Any] | None, wanted: Object) -> Object:
    if live is None:
        return wanted
    merged = {**copy.deepcopy(dict(live)), **wanted}
    graph = {**copy.deepcopy(dict(live.get("graph") or {})), **wanted["graph"]}
    if "parameters" not in wanted["graph"]:
        graph.pop("parameters", None)
    merged["graph"] = graph
    if "shadow" not in wanted:
        merged.pop("shadow", None)
    return merged


def traffic_patch(present: Mapping[str, Any], moved: Deployment, notes: Mapping[str, str]) -> list[Object]:
    """A JSON Patch that moves the shares to those of `moved` and says who did it; refused if anything read changed."""
    metadata = present["metadata"]
    patch: list[Object] = [{"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}]
    shares = moved.split.as_dict()
    for index, predictor in enumerate(present["spec"]["predictors"]):
        at = f"/spec/predictors/{index}"
        patch.append({"op": "test", "path": f"{at}/name", "value": predictor["name"]})
        if predictor["name"] in shares:
            patch.append({"op": "add", "path": f"{at}/traffic", "value": shares[predictor["name"]]})
    if not metadata.get("annotations"):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    for key, value in notes.items():
        escaped = key.replace("~", "~0").replace("/", "~1")
        patch.append({"op": "add", "path": f"/metadata/annotations/{escaped}", "value": value})
    return patch
