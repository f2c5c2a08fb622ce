"""`deploy --check` and the check before `deploy`, as a process: what is said, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from services.deployments.manifest import to_manifest, to_yaml
from services.domain import Deployment, Predictor
from tests.support.models import elastic_net
from tests.unit.test_cli_help import run


def manifest(folder: Path, model: Path) -> str:
    file = folder / "wine.yaml"
    file.write_text(to_yaml(to_manifest(Deployment("seldon", "wine", (Predictor("a", str(model)),)))))
    return str(file)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return manifest(tmp_path, elastic_net(tmp_path))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: x}, no_such_thing: {}, xgboost: {}}\n"
    )
    (tmp_path / "requirements.txt").write_text("xgboost==99.1\n")
    return manifest(tmp_path, tmp_path)


def test_a_check_says_what_is_fine_and_changes_nothing(good: str, tmp_path: Path) -> None:
    answer = run("deploy", "-f", good, "--check", state_dir=tmp_path / "state")
    assert answer.returncode == 0, answer.stderr
    assert "a: It has a python_function flavour (sklearn)." in answer.stderr
    assert not list((tmp_path / "state" / "desired").glob("*/*.yaml"))


def test_what_would_certainly_fail_is_refused_with_its_mend_unless_somebody_insists(bad: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    checked = run("deploy", "-f", bad, "--check", "--json", state_dir=state)
    assert checked.returncode == 2
    (finding,) = json.loads(checked.stdout)["blocks"]
    assert (finding["predictor"], finding["topic"]) == ("a", "environment")
    assert "pip install 'xgboost==99.1'" in finding["mend"]

    refused = run("deploy", "-f", bad, "--no-wait", state_dir=state)
    assert refused.returncode == 2
    assert "BLOCKS  a: xgboost is not installed" in refused.stderr
    assert "--skip-check" in refused.stderr
    assert not list((state / "desired").glob("*/*.yaml"))

    assert run("deploy", "-f", bad, "--no-wait", "--skip-check", state_dir=state).returncode == 0
    assert list((state / "desired").glob("*/*.yaml"))


def test_what_the_file_says_and_decant_does_not_write_is_never_dropped_without_a_word(
    good: str, tmp_path: Path
) -> None:
    state, file = tmp_path / "state", Path(good)
    data = yaml.safe_load(file.read_text())
    mounted = {"name": "a-model", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    data["spec"]["predictors"][0]["componentSpecs"] = [{"spec": {"containers": [mounted]}}]
    file.write_text(yaml.safe_dump(data))
    said = "would leave out: spec.predictors[a].componentSpecs[0].spec.containers[a-model].volumeMounts."

    refused = run("deploy", "-f", good, "--no-wait", state_dir=state)
    assert refused.returncode == 2
    assert "BLOCKS" in refused.stderr and said in refused.stderr
    assert not list((state / "desired").glob("*/*.yaml"))

    shown = run("deploy", "-f", good, "--dry-run", state_dir=state)
    assert (shown.returncode, said in shown.stderr, "volumeMounts" in shown.stdout) == (0, True, False)

    insisted = run("deploy", "-f", good, "--no-wait", "--skip-check", state_dir=state)
    assert (insisted.returncode, said in insisted.stderr) == (0, True)
    assert list((state / "desired").glob("*/*.yaml"))
