"""What of a wish the Deployments must show, since when, and what is said where they never do.

The operator may be down, a webhook rewrite Deployments, an autoscaler decide; and not all is written by Decant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.deployments.kubernetes.status import change_of, deployment_of, status_of
from services.deployments.kubernetes.wishes import noted_in, with_times
from services.deployments.manifest import CHANGED_AT, to_manifest
from services.deployments.stamps import stamps
from services.domain import (
    ChangeNote,
    Deployment,
    DeploymentStatus,
    Parameter,
    Phase,
    Predictor,
    PredictorStatus,
    Resources,
    Split,
)
from tests.support import rollouts

WINE = Deployment("seldon", "wine", (Predictor("a", "s3://m/a", 80, replicas=2), Predictor("b", "s3://m/b", 20)))
LARGER = Resources(memory_limit="4Gi")
NOTE = ChangeNote(who="ada")


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).replace(microsecond=0).isoformat()


def changed(arm: str, **fields: Any) -> Deployment:
    return replace(WINE, predictors=tuple(replace(p, **fields) if p.name == arm else p for p in WINE.predictors))


def written(wanted: Deployment, present: dict[str, Any] | None = None, *, seconds_ago: float = 0) -> dict[str, Any]:
    """The SeldonDeployment after a write of Decant's over `present`."""
    before = deployment_of(present)[0] if present else None
    when = change_of(present)[1] if present else None
    notes = with_times({**stamps(NOTE), CHANGED_AT: ago(seconds_ago)}, wanted, present, before, when)
    found = to_manifest(wanted, notes)
    found["metadata"] |= {"uid": "u", "generation": 3, "creationTimestamp": ago(7200)}
    return found


def read(found: dict[str, Any], made: Deployment | Mapping[str, Any], **at: Any) -> DeploymentStatus:
    """The status of `found` while the operator's Deployments are those of `made`, all of whose pods answer."""
    manifest = to_manifest(made) if isinstance(made, Deployment) else made
    ours = [_counted(manifest, p, **at) for p in manifest["spec"]["predictors"]]
    counts = {
        one["metadata"]["name"]: {"replicas": one["spec"]["replicas"], "availableReplicas": one["spec"]["replicas"]}
        for one in ours
    }
    found["status"] = {"state": "Available", "deploymentStatus": counts}
    return status_of(found, [], deployment_of(found)[0].split, "", ours)


def _counted(
    manifest: Mapping[str, Any],
    predictor: Mapping[str, Any],
    *,
    operator_s: float | None = None,
    manager: str = "manager",
) -> dict[str, Any]:
    one = rollouts.deployment_of(manifest, predictor)
    entries = [
        {"manager": "kube-controller-manager", "time": ago(0), "subresource": "status", "fieldsV1": {"f:status": {}}}
    ]
    if operator_s is not None:
        entries.append({"manager": manager, "time": ago(operator_s), "fieldsV1": {"f:spec": {"f:template": {}}}})
    one["metadata"] |= {"generation": 2, "managedFields": entries}
    one["status"] = {"observedGeneration": 2, **rollouts.figures(one["spec"]["replicas"])}
    return one


def is_there(arm: PredictorStatus) -> bool:
    return (arm.phase, arm.updating, arm.ready, arm.reason) == (Phase.READY, False, arm.desired, "")


def foreign() -> dict[str, Any]:
    """What somebody else runs: another server, with a budget and resources that the outline leaves out."""
    found = written(changed("a", resources=LARGER, start_budget_s=600))
    for predictor in found["spec"]["predictors"]:
        predictor["graph"]["implementation"] = "SKLEARN_SERVER"
    return found


def test_a_move_of_somebody_elses_split_leaves_their_arms_where_they_are() -> None:
    found = foreign()
    assert deployment_of(found)[1], "Decant can only show it"
    status = read(found, found)
    assert all(is_there(arm) for arm in status.predictors)
    assert status.settled


def test_another_model_of_somebody_elses_is_still_waited_for() -> None:
    before, found = foreign(), foreign()
    found["spec"]["predictors"][0]["graph"]["modelUri"] = "s3://m/3"
    assert read(found, before).predictor("a").reason == "waiting for Seldon's operator"


def test_a_move_of_the_split_starts_no_clock() -> None:
    """A webhook has rewritten the Deployments, so that no template is ever as Decant wants it."""
    rewritten = changed("a", resources=Resources(memory_limit="9Gi"))
    found = written(WINE, seconds_ago=3600)
    since = noted_in(found)
    moved = written(WINE.with_split(Split.of({"a": 10, "b": 90})), found)
    assert noted_in(moved) == since
    assert moved["metadata"]["annotations"][CHANGED_AT] > ago(60)
    assert read(moved, rewritten, operator_s=3590).settled


def test_a_change_starts_the_clock_of_its_arm_alone() -> None:
    found = written(WINE, seconds_ago=3600)
    since = noted_in(found)
    larger = written(changed("b", resources=LARGER), found)
    assert noted_in(larger)["a"] == since["a"]
    assert noted_in(larger)["b"] > since["b"]
    with_c = replace(WINE, predictors=(*WINE.predictors, Predictor("c", "s3://m/c", 0)))
    assert {name: at == since.get(name) for name, at in noted_in(written(with_c, found)).items()} == {
        "a": True,
        "b": True,
        "c": False,
    }


def test_where_no_time_is_noted_an_arm_that_has_stood_for_a_minute_is_carried_out() -> None:
    """Deployments of kubectl, and those that were written before the times were."""
    found = to_manifest(WINE, {CHANGED_AT: ago(300)})
    found["metadata"]["creationTimestamp"] = ago(7200)
    rewritten = changed("a", resources=LARGER)
    assert read(found, rewritten).settled, "nobody knows what was changed"
    moved = written(WINE.with_split(Split.of({"a": 10, "b": 90})), found)
    assert read(moved, rewritten, operator_s=7000).settled
    young = to_manifest(WINE, {CHANGED_AT: ago(5)})
    young["metadata"]["creationTimestamp"] = ago(7200)
    assert noted_in(written(WINE, young)) == {}, "its last change may not have been carried out"


def test_what_another_tool_has_written_since_has_no_noted_time() -> None:
    found = written(WINE)
    theirs = {"f:spec": {"f:predictors": {}}}
    found["metadata"]["managedFields"] = [{"manager": "argocd", "time": ago(20), "fieldsV1": theirs}]
    assert noted_in(found) == {}


REPLICAS = "the number of replicas that were"
SAID = "the Deployment does not hold {} asked for; does Seldon's operator run?"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resources": LARGER}, "the memory limit that was"),
        ({"start_budget_s": 1200}, "the start budget that was"),
        ({"env_secret": "models"}, "the Secret that was"),
        ({"parameters": (Parameter("xtype", "DataFrame"),)}, "the parameters that were"),
        ({"model_uri": "s3://m/3"}, "the model that was"),
        ({"replicas": 5}, "the number of replicas that was"),
        ({"replicas": 1}, "the number of replicas that was"),
        ({"resources": LARGER, "env_secret": "models", "replicas": 1}, f"the memory limit, the Secret and {REPLICAS}"),
    ],
)
def test_a_change_that_is_never_carried_out_is_said(change: dict[str, Any], words: str) -> None:
    found = written(changed("a", **change), written(WINE, seconds_ago=3600), seconds_ago=120)
    status = read(found, WINE, operator_s=3590)
    a = status.predictor("a")
    assert not status.settled
    assert a.reason == SAID.format(words)
    assert is_there(status.predictor("b"))
    if "model_uri" not in change and change.get("replicas", 0) < 5:
        assert (a.phase, a.ready, a.updating) == (Phase.READY, a.desired, True), "it answers all the same"
    soon = written(changed("a", **change), written(WINE, seconds_ago=3600), seconds_ago=5)
    assert read(soon, WINE, operator_s=3590).predictor("a").reason == "waiting for Seldon's operator"


def test_what_the_operator_has_written_in_another_form_is_carried_out() -> None:
    found = written(changed("a", resources=LARGER, env_secret="models"), seconds_ago=120)
    assert read(found, WINE, operator_s=118).settled
    assert read(found, WINE, operator_s=125).settled, "Decant's clock is 5 s ahead"
    by_hand = read(found, WINE, operator_s=60, manager="kubectl-rollout")
    assert not by_hand.settled, "somebody has restarted the pods, and not the operator"
    assert not read(found, WINE).settled, "the controller's figures are no word of the operator's"


def test_the_first_secret_and_the_first_parameter_are_waited_for() -> None:
    for fields in ({"env_secret": "models"}, {"parameters": (Parameter("xtype", "DataFrame"),)}):
        wanted = changed("b", **fields)
        manifest = to_manifest(WINE)
        one = _counted(manifest, manifest["spec"]["predictors"][1])
        one["spec"]["template"]["spec"]["containers"][0].pop("env")  # as MLServer's is without parameters
        found = written(wanted)
        found["status"] = {"state": "Available"}
        status = status_of(found, [], wanted.split, "", [one])
        assert status.predictor("b").reason == "waiting for Seldon's operator"
        assert read(found, wanted).settled


@pytest.mark.parametrize("key", ["hpaSpec", "kedaSpec", "replicas"])
def test_who_else_decides_how_many_pods_there_are_is_not_contradicted(key: str) -> None:
    found = written(WINE)
    value = 3 if key == "replicas" else {"minReplicas": 3, "maxReplicas": 5}
    found["spec"]["predictors"][1]["componentSpecs"] = [{key: value, "spec": {"containers": []}}]
    status = read(found, changed("b", replicas=3))
    assert (status.predictor("b").ready, status.predictor("b").desired) == (3, 3)
    assert status.settled


def test_replicas_of_the_whole_deployment_count_where_a_predictor_has_none() -> None:
    found = written(WINE)
    found["spec"]["replicas"] = 3
    del found["spec"]["predictors"][1]["replicas"]
    assert read(found, changed("b", replicas=3)).settled
