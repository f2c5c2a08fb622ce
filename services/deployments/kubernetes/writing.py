"""What is sent to the API server: the object of a server-side apply, and the patch that moves a split. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from services.deployments.containers import DEADLINE, USUAL_DEADLINE_S, budget_and_resources, deadline_s, laid_over
from services.deployments.manifest import PREFIX, STAMPS, to_manifest
from services.domain import Deployment, Predictor

Object = dict[str, Any]


def applied_body(deployment: Deployment, notes: Mapping[str, str], present: Mapping[str, Any] | None) -> Object:
    """The SeldonDeployment to apply, bound to `present` where there is one.

    A predictor keeps whatever it holds that Decant does not write (volumes, other containers, probes of another form,
    annotations of others): the list of predictors has one owner, so leaving such a field out would delete it. What
    Decant reads it also owns: a secret, a budget or a quantity that `deployment` does not have is taken away.
    """
    kept = {key: value for key, value in deployment.annotations if key not in STAMPS}
    body = to_manifest(deployment)
    body["metadata"]["annotations"] = {**kept, **notes}
    if present is None:
        return body
    body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
    spec = present.get("spec") or {}
    if spec.get("protocol"):  # an absent field would leave what is there; `kfserving` is what older Seldons call v2
        same = spec["protocol"] == "kfserving" and deployment.protocol == "v2"
        body["spec"]["protocol"] = spec["protocol"] if same else deployment.protocol
    live = {p.get("name"): p for p in spec.get("predictors") or []}
    pairs = zip(deployment.predictors, body["spec"]["predictors"], strict=True)
    body["spec"]["predictors"] = [_over(live.get(p.name), p, written, deployment.protocol) for p, written in pairs]
    return body


def _over(live: Mapping[str, Any] | None, predictor: Predictor, written: Object, protocol: str) -> Object:
    if live is None:
        return written
    merged = {**copy.deepcopy(dict(live)), **written}
    graph = {**copy.deepcopy(dict(live.get("graph") or {})), **written["graph"]}
    for field in ("parameters", "envSecretRefName"):
        if field not in written["graph"]:
            graph.pop(field, None)
    merged["graph"] = graph
    theirs = {key: value for key, value in (live.get("annotations") or {}).items() if not key.startswith(PREFIX)}
    if notes := {**theirs, **written.get("annotations", {})}:
        merged["annotations"] = notes  # Decant's own are those of the new model, and none of the one before
    else:
        merged.pop("annotations", None)
    live_node = str((live.get("graph") or {}).get("name", ""))
    ours = deadline_s(budget_and_resources(live, live_node)[0])
    if DEADLINE not in written and ours is not None and live.get(DEADLINE) == ours:
        merged.pop(DEADLINE)
    if specs := laid_over(live.get("componentSpecs"), live_node, predictor, protocol):
        merged["componentSpecs"] = specs
    else:
        merged.pop("componentSpecs", None)
    if "shadow" not in written:
        merged.pop("shadow", None)
    return merged


def without_deadline(body: Object) -> Object:
    """The SeldonDeployment for a cluster whose CRD does not know DEADLINE (Seldon Core before 1.15)."""
    predictors = [{k: v for k, v in p.items() if k != DEADLINE} for p in body["spec"]["predictors"]]
    return {**body, "spec": {**body["spec"], "predictors": predictors}}


def dropped_deadline(body: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The end of a sentence about a deadline that the cluster did not keep; "" where it kept what was sent."""
    kept = {p.get("name"): DEADLINE in p for p in made["spec"]["predictors"]}
    lost = [p["name"] for p in body["spec"]["predictors"] if DEADLINE in p and not kept.get(p["name"])]
    if not lost:
        return ""
    return (
        f"; without {DEADLINE}, which the cluster's Seldon Core does not know (1.15 and later do): Kubernetes calls "
        f"the start of {' and '.join(lost)} failed after {USUAL_DEADLINE_S} s, though it goes on for the start budget"
    )


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
