"""Deployments to manifests and back; what Seldon's CRD would refuse is never written."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.deployments.manifest import (
    API_VERSION,
    CHANGED_BY,
    READABLE_VERSIONS,
    from_manifest,
    from_yaml,
    to_manifest,
    to_yaml,
)
from services.domain import (
    MAX_REPLICAS,
    MAX_START_BUDGET_S,
    PROTOCOLS,
    Deployment,
    Parameter,
    Predictor,
    Provenance,
    Resources,
)
from services.errors import InvalidDeployment, InvalidInput
from tests.support.crd.schema import SELDON_DEPLOYMENT

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
provenances = st.builds(
    Provenance,
    run_id=st.none() | texts,
    run_name=st.none() | texts,
    model_id=st.none() | texts,
    registered_name=st.none() | texts,
    registered_version=st.none() | texts,
)
parameters = st.lists(
    st.builds(Parameter, name=texts, value=texts, type=st.sampled_from(["STRING", "INT", "BOOL"])), max_size=2
).map(tuple)

resources = st.builds(
    Resources,
    cpu_request=st.sampled_from(["", "250m", "1"]),
    memory_request=st.sampled_from(["", "512Mi", "1G"]),
    cpu_limit=st.sampled_from(["", "1", "2.5"]),
    memory_limit=st.sampled_from(["", "2Gi"]),
)


@st.composite
def deployments(draw: st.DrawFn) -> Deployment:
    """Valid deployments of any shape: one to four live predictors, perhaps a shadow."""
    found = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(found) - 1, max_size=len(found) - 1)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    arms = [(name, share, False) for name, share in zip(found, shares, strict=True)]
    if draw(st.booleans()):
        arms.append((draw(names.filter(lambda name: name not in found)), draw(st.integers(0, 100)), True))
    predictors = tuple(
        Predictor(
            name=name,
            model_uri=draw(texts.filter(str.isprintable)),
            traffic=share,
            replicas=draw(st.integers(0, MAX_REPLICAS)),
            shadow=shadow,
            node=draw(names),
            provenance=draw(provenances),
            parameters=draw(parameters),
            env_secret=draw(st.just("") | names),
            start_budget_s=draw(st.none() | st.integers(1, MAX_START_BUDGET_S)),
            resources=draw(resources),
        )
        for name, share, shadow in draw(st.permutations(arms))
    )
    annotations = draw(st.dictionaries(texts, texts, max_size=3))
    protocol = draw(st.sampled_from(PROTOCOLS))
    return Deployment(draw(names), draw(names), predictors, tuple(sorted(annotations.items())), protocol).validated()


@given(deployments())
def test_every_deployment_survives_the_way_to_yaml_and_back(deployment: Deployment) -> None:
    text = to_yaml(to_manifest(deployment))
    assert from_yaml(text) == deployment
    assert to_yaml(to_manifest(from_yaml(text))) == text


@given(deployments(), st.dictionaries(texts, texts, max_size=2))
def test_seldons_crd_accepts_every_manifest(deployment: Deployment, extra: dict[str, str]) -> None:
    jsonschema.validate(to_manifest(deployment, extra), SELDON_DEPLOYMENT)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["spec"].update(port=8100),
        lambda m: m["spec"]["predictors"][0].update(pid=17),
        lambda m: m["spec"]["predictors"][0]["graph"].update(runId="3f2e"),
        lambda m: m["spec"]["predictors"][0].update(traffic=101),
        lambda m: m["metadata"].update(name="Not_A_Label"),
    ],
    ids=["spec", "predictor", "graph", "traffic", "name"],
)
def test_the_schema_itself_refuses_what_is_not_seldons(change: Any) -> None:
    manifest = to_manifest(ab())
    change(manifest)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, SELDON_DEPLOYMENT)


def ab() -> Deployment:
    return Deployment(
        "seldon",
        "wine",
        (Predictor("a", "models:/m-1", 80, provenance=Provenance(run_id="r1")), Predictor("b", "models:/m-2", 20)),
    )


def test_provenance_goes_into_annotations_and_never_into_the_graph() -> None:
    predictor = to_manifest(ab())["spec"]["predictors"][0]
    assert predictor["annotations"] == {"decant.dev/run-id": "r1"}
    assert "r1" not in str(predictor["graph"])


def test_extra_annotations_win_over_older_ones() -> None:
    manifest = to_manifest(
        Deployment("n", "d", ab().predictors, ((CHANGED_BY, "ada"), ("team", "x"))), {CHANGED_BY: "bo"}
    )
    assert manifest["metadata"]["annotations"] == {CHANGED_BY: "bo", "team": "x"}


@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_older_versions_are_read_and_the_stored_one_is_written(version: str) -> None:
    manifest = {**to_manifest(ab()), "apiVersion": version}
    deployment = from_manifest(manifest)
    assert to_manifest(deployment)["apiVersion"] == API_VERSION
    assert deployment.split.as_dict() == {"a": 80, "b": 20}


@pytest.mark.parametrize("said", [{}, {"traffic": 0}, {"traffic": 100}])
def test_a_lone_predictor_takes_everything_whatever_it_says(said: dict[str, int]) -> None:
    manifest = to_manifest(Deployment("n", "d", (Predictor("a", "models:/m-1"),)))
    del manifest["spec"]["predictors"][0]["traffic"]
    manifest["spec"]["predictors"][0].update(said)
    assert from_manifest(manifest).split.as_dict() == {"a": 100}


@pytest.mark.parametrize(("told", "read"), [(None, "seldon"), ("", "seldon"), ("v2", "v2"), ("kfserving", "v2")])
def test_the_protocol_is_read_by_each_of_its_names(told: str | None, read: str) -> None:
    manifest = to_manifest(ab())
    assert "protocol" not in manifest["spec"]
    manifest["spec"]["protocol"] = told
    assert from_manifest(manifest).protocol == read
    manifest["spec"]["protocol"] = "tensorflow"
    with pytest.raises(InvalidDeployment, match="it speaks tensorflow; Decant speaks seldon and v2"):
        from_manifest(manifest)


def test_a_manifest_without_a_namespace_goes_where_the_tutorial_goes() -> None:
    manifest = to_manifest(ab())
    del manifest["metadata"]["namespace"]
    assert from_manifest(manifest).namespace == "seldon"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("just words", "not a SeldonDeployment"),
        ("kind: Pod", "not a SeldonDeployment"),
        ("kind: SeldonDeployment\napiVersion: v9", "v9"),
        (f"kind: SeldonDeployment\napiVersion: {API_VERSION}", "no metadata or no spec"),
        (f"kind: SeldonDeployment\napiVersion: {API_VERSION}\nmetadata: {{name: x}}\nspec: {{}}", "list of predictors"),
    ],
)
def test_what_is_not_a_manifest_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        from_yaml(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"graph": None}, "has no graph"),
        ({"graph": {"name": "x", "children": [{"name": "y"}]}}, "has children"),
        ({"graph": {"name": "x", "implementation": "SKLEARN_SERVER"}}, "SKLEARN_SERVER"),
        ({"traffic": "most"}, "whole numbers"),
        ({"replicas": []}, "whole numbers"),
    ],
)
def test_what_decant_cannot_run_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    manifest = to_manifest(ab())
    manifest["spec"]["predictors"][0].update(change)
    with pytest.raises(InvalidDeployment, match=words):
        from_yaml(yaml.safe_dump(manifest))


def test_no_two_arms_share_a_node() -> None:
    nodes = [p["graph"]["name"] for p in to_manifest(ab())["spec"]["predictors"]]
    assert nodes == ["a-model", "b-model"]


def test_a_start_budget_keeps_the_liveness_probe_away_until_it_is_over() -> None:
    arm = Predictor("a", "s3://m", start_budget_s=900, node="wines")
    (spec,) = to_manifest(Deployment("n", "d", (arm,)))["spec"]["predictors"][0]["componentSpecs"]
    (container,) = spec["spec"]["containers"]
    assert container["name"] == "wines"
    assert container["livenessProbe"]["initialDelaySeconds"] == 900
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/ping"
    assert container["readinessProbe"]["initialDelaySeconds"] < 60, "ready as soon as it is, not after the budget"


@pytest.mark.parametrize(("budget_s", "deadline_s"), [(None, None), (540, None), (900, 960)])
def test_a_rollout_counts_as_failed_after_its_budget_and_not_before(
    budget_s: int | None, deadline_s: int | None
) -> None:
    (arm,) = to_manifest(Deployment("n", "d", (Predictor("a", "s3://m", start_budget_s=budget_s),)))["spec"][
        "predictors"
    ]
    assert arm.get("progressDeadlineSeconds") == deadline_s


def test_what_kubernetes_adds_to_a_probe_does_not_make_it_another_one() -> None:
    manifest = to_manifest(Deployment("n", "d", (Predictor("a", "s3://m", start_budget_s=900),)))
    (spec,) = manifest["spec"]["predictors"][0]["componentSpecs"]
    spec["spec"]["containers"][0]["livenessProbe"].update(timeoutSeconds=1, successThreshold=1)
    assert from_manifest(manifest).predictor("a").start_budget_s == 900


def test_probes_of_another_form_give_no_budget_and_quantities_are_read_whoever_wrote_them() -> None:
    manifest = to_manifest(ab())
    probe = {"httpGet": {"path": "/health/ping", "port": "http"}, "initialDelaySeconds": 80, "failureThreshold": 200}
    container = {
        "name": "a-model",
        "image": "mine",
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": 1, "nvidia.com/gpu": "1"}, "limits": None},
    }
    manifest["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {"containers": [{"name": "other"}, container]}}]
    arm = from_manifest(manifest).predictor("a")
    assert arm.start_budget_s is None
    assert arm.resources == Resources(cpu_request="1")


@pytest.mark.parametrize("odd", ["text", [None], [{"spec": None}], [{"spec": {"containers": ["x"]}}], {"spec": 1}])
def test_component_specs_of_any_shape_can_be_read(odd: object) -> None:
    manifest = to_manifest(ab())
    manifest["spec"]["predictors"][0]["componentSpecs"] = odd
    assert from_manifest(manifest) == ab()


def test_yaml_cannot_run_code() -> None:
    with pytest.raises(InvalidInput):
        from_yaml("!!python/object/apply:os.system ['true']")
