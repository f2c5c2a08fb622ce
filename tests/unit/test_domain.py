"""The rules that Seldon's webhook and Kubernetes would apply, and the words they are refused in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain import (
    Deployment,
    DeploymentStatus,
    Phase,
    Predictor,
    PredictorStatus,
    Provenance,
    Resources,
    Split,
    check_name,
)
from services.errors import InvalidDeployment, InvalidName, NotFound

A, B = Predictor("a", "models:/m-1", 80), Predictor("b", "models:/m-2", 20)
SHADOW = Predictor("s", "models:/m-3", 100, shadow=True)


def deployment(*predictors: Predictor) -> Deployment:
    return Deployment("seldon", "wine", predictors)


@pytest.mark.parametrize("name", ["a", "0", "mlflow-deployment", "a" * 63, "1-2-3"])
def test_dns_labels_are_names(name: str) -> None:
    assert check_name("deployment", name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a.b", "a_b", "a/b", "../x", 'a"b', "a b", "ä", "a" * 64, "a\n", "\na"]
)
def test_everything_else_is_not_a_name(name: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name("deployment", name)
    assert "deployment" in caught.value.sentence
    assert "63" in caught.value.hint


@given(st.text(max_size=70))
def test_a_name_that_passes_is_safe_in_a_path_and_a_query(text: str) -> None:
    try:
        name = check_name("deployment", text)
    except InvalidName:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(name) <= 63


@pytest.mark.parametrize("shares", [{"a": 100}, {"a": 0}, {"a": 80, "b": 20}, {"a": 100, "b": 0}, {"a": 0, "b": 100}])
def test_splits_that_seldon_takes(shares: dict[str, int]) -> None:
    assert Split.of(shares).problems() == []


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"a": 50}, "single predictor"),
        ({"a": 80, "b": 21}, "sums to 101"),
        ({"a": 80, "b": 0}, "sums to 80"),
        ({"a": 120, "b": -20}, "not within 0 to 100"),
    ],
)
def test_splits_that_seldon_refuses(shares: dict[str, int], words: str) -> None:
    assert words in "; ".join(Split.of(shares).problems())


@given(st.lists(st.integers(-5, 105), min_size=2, max_size=5))
def test_a_split_is_fine_exactly_when_it_is_whole(percents: list[int]) -> None:
    split = Split.of((f"p{i}", percent) for i, percent in enumerate(percents))
    whole = sum(percents) == 100 and all(0 <= percent <= 100 for percent in percents)
    assert (split.problems() == []) is whole


def test_a_split_keeps_its_order_and_reads_well() -> None:
    split = Split.of({"b": 20, "a": 80})
    assert split.names == ("b", "a")
    assert split["a"] == 80
    assert str(split) == "b 20 % / a 80 %"
    assert Split.of(split.as_dict()) == split


@pytest.mark.parametrize(
    "predictors", [(A, B), (replace(A, traffic=100),), (A, B, SHADOW), (replace(A, replicas=0), B)]
)
def test_deployments_that_seldon_takes(predictors: tuple[Predictor, ...]) -> None:
    assert deployment(*predictors).validated().predictors == predictors


@pytest.mark.parametrize(
    ("predictors", "words"),
    [
        ((), "no predictor"),
        ((A, replace(B, name="a")), "appears twice"),
        ((A, replace(B, traffic=30)), "sums to 110"),
        ((replace(A, traffic=100), SHADOW, replace(SHADOW, name="t")), "more than one shadow"),
        ((SHADOW,), "live predictor beside it"),
        ((A, B, replace(SHADOW, traffic=101)), "shadow s is 101"),
        ((A, replace(B, model_uri="")), "no model URI"),
        ((A, replace(B, model_uri="/m\n[program:other]")), "control character"),
        ((A, replace(B, replicas=33)), "0 to 32"),
        ((A, replace(B, replicas=-1)), "0 to 32"),
    ],
)
def test_deployments_that_seldon_refuses(predictors: tuple[Predictor, ...], words: str) -> None:
    with pytest.raises(InvalidDeployment, match=words):
        deployment(*predictors).validated()


def test_every_problem_is_named_at_once() -> None:
    broken = deployment(replace(A, model_uri="", replicas=99), replace(B, traffic=1))
    with pytest.raises(InvalidDeployment) as caught:
        broken.validated()
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("field", ["namespace", "name", "predictor", "node"])
def test_no_name_inside_a_deployment_escapes_the_check(field: str) -> None:
    bad = "../x"
    broken = {
        "namespace": replace(deployment(A, B), namespace=bad),
        "name": replace(deployment(A, B), name=bad),
        "predictor": deployment(A, replace(B, name=bad)),
        "node": deployment(A, replace(B, node=bad)),
    }[field]
    with pytest.raises(InvalidName):
        broken.validated()


def test_moving_the_split_changes_the_shares_and_nothing_else() -> None:
    before = deployment(A, B, SHADOW)
    after = before.with_split(Split.of({"b": 70, "a": 30}))
    assert after.split == Split.of({"a": 30, "b": 70})
    assert [replace(p, traffic=0) for p in after.predictors] == [replace(p, traffic=0) for p in before.predictors]
    assert after.predictor("s").traffic == 100


@pytest.mark.parametrize("shares", [{"a": 100}, {"a": 50, "c": 50}, {"a": 50, "b": 40, "s": 10}])
def test_a_split_for_other_predictors_is_refused(shares: dict[str, int]) -> None:
    with pytest.raises(InvalidDeployment, match="the predictors are a, b"):
        deployment(A, B, SHADOW).with_split(Split.of(shares))


def test_a_missing_predictor_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="a, b"):
        deployment(A, B).predictor("c")


@pytest.mark.parametrize(
    ("provenance", "label"),
    [
        (Provenance(registered_name="wine", registered_version="3", run_name="x"), "wine v3"),
        (Provenance(registered_name="wine"), "wine"),
        (Provenance(run_id="r", run_name="calm-merlot-12"), "calm-merlot-12"),
        (Provenance(run_id="r", model_id="m-1"), "m-1"),
        (Provenance(), "model"),
    ],
)
def test_a_model_is_called_by_the_name_a_person_would_recognise(provenance: Provenance, label: str) -> None:
    assert provenance.label == label


def status(in_force: Split | None = None, **changes: object) -> DeploymentStatus:
    ready = PredictorStatus("a", Phase.READY, 1, 1)
    arms = (replace(ready, **changes), replace(ready, name="b"))  # type: ignore[arg-type]
    return DeploymentStatus(deployment(A, B), "1", arms, in_force)


def test_settled_means_ready_and_in_force() -> None:
    asked = Split.of({"a": 80, "b": 20})
    assert status(asked).settled
    assert status(Split.of({"b": 20, "a": 80})).settled
    assert not status(None).settled
    assert not status(Split.of({"a": 50, "b": 50})).settled
    assert not status(asked, phase=Phase.LOADING).settled
    assert not status(asked, updating=True).settled
    assert not status(asked, desired=2).settled


def test_what_keeps_a_deployment_from_being_settled_is_said_in_a_line() -> None:
    asked = Split.of({"a": 80, "b": 20})
    assert status(asked).waiting == ""
    assert status(None).waiting == "waiting for the split to be in force"
    assert status(asked, updating=True, reason="waiting for Seldon's operator").waiting == (
        "a ready: waiting for Seldon's operator"
    )
    assert status(asked, phase=Phase.PENDING).waiting == "a pending"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"env_secret": "Not_A_Secret"}, "“Not_A_Secret”, the secret of a"),
        ({"env_secret": "x" * 254}, "is not a name that a Secret can have"),
        ({"start_budget_s": 0}, "start budget of a is 0 s"),
        ({"start_budget_s": 86_401}, "not within 1 to 86400"),
        ({"resources": Resources(cpu_request="two")}, "cpu request of a is “two”, not a quantity such as 500m or 2"),
        ({"resources": Resources(memory_limit="-1Gi")}, "memory limit of a is “-1Gi”"),
        ({"resources": Resources(memory_limit="0")}, "memory limit of a is “0”"),
        ({"resources": Resources(memory_request="2Gi", memory_limit="2G")}, "of a (2Gi) is more than its limit (2G)"),
        ({"resources": Resources(cpu_request="1", cpu_limit="900m")}, "of a (1) is more than its limit (900m)"),
    ],
)
def test_what_kubernetes_would_refuse_of_an_arm_is_said_in_words(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDeployment, match=re.escape(words)):
        deployment(replace(A, **change), B).validated()


@pytest.mark.parametrize(
    "resources", [Resources("500m", "512Mi", "1", "1Gi"), Resources(cpu_limit="1.5"), Resources(memory_limit="128M")]
)
def test_quantities_that_kubernetes_takes(resources: Resources) -> None:
    assert deployment(replace(A, resources=resources, env_secret="team.s3-reader", start_budget_s=1800), B).validated()
