"""Pre-flight in a cluster, the pure parts: Seldon's MLflow server against a model, and a namespace's quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from services.deployments.kubernetes import quota, server_checks
from services.domain import Deployment, Finding, Fix, ModelFacts, Parameter, Predictor, Resources, Severity

BLOCKS, WARNS = Severity.BLOCKS, Severity.WARNS
GOOD = ModelFacts(
    "m",
    ("python_function", "sklearn"),
    "3.12.4",
    ("mlflow==3.1.1", "scikit-learn==1.9.1", "numpy==1.26.4"),
    conda="channels: [conda-forge]\ndependencies: [python=3.12.4, pip, {pip: [mlflow==3.1.1, numpy==1.26.4]}]",
    env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    env_is_mapping=True,
    named_columns=True,
)
ARM = Predictor("a", "s3://m/a", parameters=(Parameter("xtype", "DataFrame"),), start_budget_s=1200)


def judged(facts: ModelFacts = GOOD, arm: Predictor = ARM, server: str = "1.19.0", **more: Any) -> list[Finding]:
    deployment = Deployment("seldon", "wine", (arm,), **more)
    return [f for f in server_checks.findings(deployment, {"a": facts}, server) if f.severity is not Severity.FINE]


def one(found: Sequence[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def test_a_model_made_for_the_server_gives_no_cause() -> None:
    assert judged() == []


@pytest.mark.parametrize(("server", "severity"), [("1.19.0", BLOCKS), ("", WARNS)])
def test_an_older_python_than_the_server_installs_in(server: str, severity: Severity) -> None:
    old = replace(GOOD, conda="dependencies: [python=3.11.7]")
    finding = one(judged(old, server=server))
    assert finding.severity is severity
    assert "Python 3.11.7" in finding.what
    assert "3.12" in finding.mend


def test_an_older_seldon_takes_older_pythons() -> None:
    assert judged(replace(GOOD, conda="dependencies: [python=3.8.10]", requirements=()), server="1.17.1") == []


def test_pins_that_the_server_rules_out_are_named_and_numpy_2_above_all() -> None:
    facts = replace(GOOD, conda="dependencies: [python=3.12]", requirements=("numpy==2.2.1", "mlflow==3.17.0"))
    finding = one(judged(facts))
    assert finding.severity is WARNS
    assert "numpy 2.2.1 (wants >=1.26.4,<2.0.0)" in finding.what
    assert "mlflow 3.17.0" in finding.what
    assert "numpy<2" in finding.mend


def test_pins_of_conda_yaml_count_too() -> None:
    assert (
        "protobuf 6.1" in one(judged(replace(GOOD, conda="dependencies: [python=3.12, {pip: [protobuf==6.1]}]"))).what
    )


@pytest.mark.parametrize(
    ("env", "words"), [({}, "names no conda.yaml"), ({"conda": "conda.yaml"}, "names conda.yaml, which is not there")]
)
def test_without_conda_yaml_there_is_no_environment(env: dict[str, str], words: str) -> None:
    finding = one(judged(replace(GOOD, conda=None, env=env)))
    assert finding.severity is BLOCKS
    assert words in finding.what


def test_an_old_server_does_not_read_a_mapping_of_environments() -> None:
    finding = judged(server="1.14.1")[0]
    assert finding.severity is BLOCKS
    assert "1.15" in finding.mend


def test_named_columns_without_xtype_block_with_a_mend() -> None:
    finding = one(judged(arm=replace(ARM, parameters=())))
    assert (finding.severity, finding.fix, finding.predictor) == (BLOCKS, Fix.XTYPE, "a")
    assert judged(replace(GOOD, named_columns=False), arm=replace(ARM, parameters=())) == []


def test_seldons_own_probes_are_too_short_for_an_environment() -> None:
    finding = one(judged(arm=replace(ARM, start_budget_s=None)))
    assert (finding.severity, finding.fix) == (WARNS, Fix.START_BUDGET)


def test_little_memory_is_a_warning() -> None:
    tight, roomy = (replace(ARM, resources=Resources(memory_limit=size)) for size in ("512Mi", "2Gi"))
    assert "512Mi" in one(judged(arm=tight)).what
    assert judged(arm=roomy) == []


def test_v2_builds_no_environment() -> None:
    assert judged(replace(GOOD, conda=None), arm=replace(ARM, parameters=(), start_budget_s=None), protocol="v2") == []


def test_arms_with_one_node_name_and_names_too_long_for_a_service() -> None:
    arms = tuple(replace(ARM, name=name, node="classifier", traffic=50) for name in ("a", "b" * 40))
    found = list(server_checks.findings(Deployment("seldon", "w" * 30, arms), {}, ""))
    assert [f.fix for f in found] == [Fix.NODE_NAMES, None]
    assert "has 71 characters" in found[1].what
    assert "seldon-" in found[1].what


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker.io/seldonio/mlflowserver:1.19.0", "1.19.0"),
        ("registry.example/own:7", ""),
        ("seldonio/mlflowserver", ""),
    ],
)
def test_the_version_of_the_server_is_that_of_an_image_that_runs(image: str, version: str) -> None:
    pods = [{"spec": {"containers": [{"name": "classifier", "image": image}]}}]
    assert server_checks.server_version(pods) == version


# -- quota -------------------------------------------------------------------------------------------------------------


def limited(**hard: tuple[str, str]) -> dict[str, Any]:
    keys = {k.replace("__", "."): v for k, v in hard.items()}
    return {
        "metadata": {"name": "compute"},
        "status": {"hard": {k: v[0] for k, v in keys.items()}, "used": {k: v[1] for k, v in keys.items()}},
    }


def wine(memory: str = "2Gi", replicas: int = 1) -> Deployment:
    resources = Resources(memory_request=memory, memory_limit=memory, cpu_request="500m", cpu_limit="1")
    return Deployment("seldon", "wine", (Predictor("a", "s3://m/a", replicas=replicas, resources=resources),))


def against(*quotas: dict[str, Any], ask: Deployment, present: Deployment | None = None) -> list[Finding]:
    return [f for f in quota.findings(ask, present, quotas, ()) if f.severity is not Severity.FINE]


def test_a_quota_with_room_is_fine() -> None:
    room = limited(requests__memory=("16Gi", "4Gi"), requests__cpu=("8", "1500m"), pods=("10", "2"))
    found = list(quota.findings(wine(), None, [room], ()))
    assert [f.severity for f in found] == [Severity.FINE]
    assert list(quota.findings(wine(), None, (), ())) == []


def test_more_than_is_left_blocks_and_says_how_much() -> None:
    finding = one(against(limited(requests__memory=("16Gi", "14Gi")), ask=wine("2Gi", replicas=2)))
    assert finding.severity is BLOCKS
    assert "2Gi of requests.memory left" in finding.what
    assert "ask for 4Gi" in finding.what


def test_pods_are_counted() -> None:
    assert "pods" in one(against(limited(pods=("3", "2")), ask=wine(replicas=2))).what


def test_only_new_pods_count_for_what_is_there_already() -> None:
    full = limited(requests__memory=("4Gi", "4Gi"))
    assert against(full, ask=wine(), present=wine()) == []
    more = one(against(full, ask=wine(replicas=2), present=wine()))
    assert more.severity is WARNS


def test_a_quota_that_wants_it_said_blocks_where_nothing_says_it() -> None:
    silent = Deployment("seldon", "wine", (Predictor("a", "s3://m/a"),))
    memory = limited(limits__memory=("16Gi", "0"))
    finding = one(against(memory, ask=silent))
    assert "takes only pods that say their limits.memory, and a does not" in finding.what
    filled_in = {"spec": {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]}}
    assert [f.severity for f in quota.findings(silent, None, [memory], [filled_in])] == [Severity.FINE]
