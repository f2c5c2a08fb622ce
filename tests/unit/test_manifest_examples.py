"""The example manifests are golden: what Decant writes today is what it wrote when they were checked in."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployments.manifest import from_yaml, to_manifest, to_yaml
from services.domain import Split
from services.settings import ROOT

EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_reading_and_writing_an_example_gives_the_same_text(file: Path) -> None:
    text = file.read_text()
    assert to_yaml(to_manifest(from_yaml(text).validated())) == text


def test_every_example_is_in_the_readme_and_the_other_way_round() -> None:
    readme = (ROOT / "manifests" / "examples" / "README.md").read_text()
    assert [file.name for file in EXAMPLES] == ["ab-test.yaml", "published.yaml", "shadow.yaml", "single-model.yaml"]
    assert all(f"`{file.name}`" in readme for file in EXAMPLES)


def test_the_ab_test_is_the_tutorials() -> None:
    deployment = from_yaml((ROOT / "manifests" / "examples" / "ab-test.yaml").read_text())
    assert deployment.key == "seldon/mlflow-deployment"
    assert deployment.split == Split.of({"a-mlflow-deployment-dag": 80, "b-mlflow-deployment-dag": 20})
    assert {p.node_name for p in deployment.predictors} == {"wines-classifier"}


def test_the_shadow_takes_no_part_in_the_split() -> None:
    deployment = from_yaml((ROOT / "manifests" / "examples" / "shadow.yaml").read_text())
    assert deployment.split == Split.of({"a": 100})
    assert [p.name for p in deployment.predictors if p.shadow] == ["shadow"]
    assert deployment.predictor("a").provenance.label == "wine v3"


def test_the_published_models_come_with_what_a_cluster_needs() -> None:
    deployment = from_yaml((ROOT / "manifests" / "examples" / "published.yaml").read_text())
    a, b = deployment.predictors
    assert (a.env_secret, a.start_budget_s, a.resources.memory_limit) == ("decant-models", 1800, "2Gi")
    assert len({a.node_name, b.node_name}) == 2
    assert a.provenance.model_id
    assert a.provenance.model_id in a.model_uri
    assert deployment.protocol == "seldon"
