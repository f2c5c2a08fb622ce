"""Commands while nothing runs: what can be done is done, what cannot says which part is missing and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from app.cli.main import cli
from services.settings import ROOT
from tests.support.waiting import free_ports

Invoke = Callable[..., Result]
EXAMPLE = str(ROOT / "manifests" / "examples" / "ab-test.yaml")
NAME = "mlflow-deployment"


@pytest.fixture
def decant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Invoke a command on a fresh state folder with nobody behind any port."""
    ports = free_ports(5)
    for name, port in zip(("DASHBOARD", "GATEWAY", "GATEWAY_STATS", "MLFLOW", "PROMETHEUS"), ports, strict=True):
        monkeypatch.setenv(f"DECANT_{name}_PORT", str(port))
    monkeypatch.setenv("DECANT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DECANT_USER", "ada")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runner = CliRunner()

    def invoke(*arguments: str, input: str | None = None) -> Result:
        return runner.invoke(cli, arguments, input=input)

    return invoke


def failed_with(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    for word in words:
        assert word in result.stderr


def test_status_names_every_part_that_is_missing(decant: Invoke) -> None:
    result = decant("status", "--json")
    assert result.exit_code == 5
    answer = json.loads(result.stdout)
    assert answer["running"] is False
    assert answer["address"] is None
    down = {part["part"] for part in answer["parts"] if not part["ok"]}
    assert down == {"MLflow", "Gateway", "Controller", "Worker", "Prometheus"}
    assert answer["deployments"] == []


def test_without_a_way_to_the_cluster_status_says_what_leads_there(
    decant: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DECANT_ENGINE", "kubernetes")
    monkeypatch.setenv("DECANT_KUBECONFIG", str(tmp_path / "none"))
    result = decant("status")
    assert result.exit_code == 5
    assert isinstance(result.exception, SystemExit)
    assert "kubeconfig" in result.stdout
    parts = json.loads(decant("status", "--json").stdout)["parts"]
    assert {part["part"] for part in parts if not part["ok"]} == {"MLflow", "Kubernetes", "Seldon Core", "Worker"}


def test_status_for_people_says_how_to_start(decant: Invoke) -> None:
    result = decant("status")
    assert result.exit_code == 5
    assert "make run" in result.stdout
    assert "DOWN" in result.stdout
    assert "No deployments yet" in result.stdout


def test_training_asks_for_the_worker_before_it_queues_anything(decant: Invoke) -> None:
    failed_with(decant("train", "--alpha", ".5"), 5, "The worker does not answer", "make run")
    assert json.loads(decant("jobs", "--json").stdout) == {"trainings": [], "replays": [], "publications": []}


def test_runs_say_that_mlflow_is_down(decant: Invoke) -> None:
    failed_with(decant("runs"), 5, "MLflow")


@pytest.mark.parametrize(
    "arguments",
    [
        ["traffic", "nowhere"],
        ["traffic", "nowhere", "80/20"],
        ["predict", "nowhere", "--row", "1"],
        ["replay", "nowhere"],
        ["delete", "nowhere", "--yes"],
        ["undo", "nowhere"],
        ["logs", "nowhere", "a"],
        ["monitor", "nowhere"],
        ["check-metrics", "nowhere"],
        ["events", "nowhere"],
    ],
)
def test_what_does_not_exist_exits_with_3(decant: Invoke, arguments: list[str]) -> None:
    failed_with(decant(*arguments), 3, "nowhere")


@pytest.mark.parametrize("arguments", [["traffic", "No_Name"], ["logs", "x", "a", "-n", "../up"], ["history", "a.b"]])
def test_a_bad_name_exits_with_2(decant: Invoke, arguments: list[str]) -> None:
    failed_with(decant(*arguments), 2, "is not a valid", "lower-case")


def test_a_dry_run_writes_the_manifest_and_changes_nothing(decant: Invoke, tmp_path: Path) -> None:
    result = decant("deploy", "-f", EXAMPLE, "--dry-run", "--why", "just looking")
    assert result.exit_code == 0, result.output
    manifest = yaml.safe_load(result.stdout)
    assert [p["traffic"] for p in manifest["spec"]["predictors"]] == [80, 20]
    assert json.loads(decant("status", "--json").stdout)["deployments"] == []


def test_a_manifest_from_stdin_that_is_none_is_refused_in_words(decant: Invoke) -> None:
    failed_with(decant("deploy", "-f", "-", input="kind: Pod"), 2, "not a SeldonDeployment")
    failed_with(decant("deploy", "-f", "/no/such/file"), 2, "cannot be read")


def test_a_split_that_does_not_add_up_is_refused(decant: Invoke) -> None:
    broken = Path(EXAMPLE).read_text().replace("traffic: 20", "traffic: 30")
    failed_with(decant("deploy", "-f", "-", "--no-wait", input=broken), 2, "sums to 110")


def test_a_deployment_can_be_asked_for_seen_changed_and_undone_while_nothing_runs(decant: Invoke) -> None:
    applied = decant("deploy", "-f", EXAMPLE, "--no-wait", "--skip-check", "--why", "for later", "--json")
    assert applied.exit_code == 0, applied.output
    answer = json.loads(applied.stdout)
    assert answer["requested"] == {"a-mlflow-deployment-dag": 80, "b-mlflow-deployment-dag": 20}
    assert (answer["settled"], answer["in_force"]) == (False, None)
    assert answer["url"].endswith(f"/seldon/seldon/{NAME}")

    failed_with(decant("traffic", NAME, "10/20"), 2, "sums to 30")
    failed_with(decant("traffic", NAME, "100"), 2, "shares")
    failed_with(decant("traffic", NAME, "-10/110"), 2, "“-10/110” is not a split", "from 0 to 100")
    failed_with(decant("traffic", NAME, "--whyy", "x"), 2, "No such option")

    shown = json.loads(decant("traffic", NAME, "--json").stdout)
    assert shown["observed"] is None
    assert shown["requested"] == answer["requested"]
    words = decant("traffic", NAME)
    assert words.exit_code == 0
    assert "Prometheus does not answer" in words.stdout

    history = json.loads(decant("history", NAME, "--json").stdout)
    assert [(c["who"], c["what"], c["why"], c["before"]) for c in history] == [("ada", "apply", "for later", "")]
    assert "for later" in decant("history", NAME).stdout

    failed_with(decant("replay", NAME, "--rows", "5"), 5, "The worker does not answer")
    failed_with(decant("predict", NAME, "--row", "1,2"), 5, "gateway")
    failed_with(decant("predict", NAME, "--row", "1,2", "--predictor", "c"), 3, "a-mlflow-deployment-dag")

    undone = decant("undo", NAME, "--json")
    assert undone.exit_code == 0, undone.output
    assert json.loads(undone.stdout)["after"] == ""


def test_deleting_asks_first_and_takes_no_for_an_answer(decant: Invoke) -> None:
    decant("deploy", "-f", EXAMPLE, "--no-wait", "--skip-check")
    refused = decant("delete", NAME, input="n\n")
    assert refused.exit_code == 1
    assert refused.stderr.rstrip().endswith("Nothing was deleted.")
    assert len(json.loads(decant("status", "--json").stdout)["deployments"]) == 1
    assert decant("delete", NAME, "--yes", "--why", "over").exit_code == 0
    assert json.loads(decant("history", NAME, "--json").stdout)[0]["what"] == "delete"


@pytest.mark.parametrize("arguments", [["up"], ["up", "--background"], ["history", "wine"]])
def test_a_store_that_cannot_be_used_is_told_before_anything_starts(
    decant: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.setenv("DECANT_DATABASE_URL", "foo://bar")
    failed_with(decant(*arguments), 2, "DECANT_DATABASE_URL", "foo://bar", "sqlite:///")
    assert not (tmp_path / "state" / "log" / "up.log").exists()


def test_a_misspelt_setting_is_named_with_the_nearest_one(decant: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_GATEWAY_PROT", "1")
    monkeypatch.setenv("DECANT_DATABASE_URL", "foo://bar")  # so that nothing starts
    failed_with(decant("up"), 2, "DECANT_GATEWAY_PROT sets nothing. Is DECANT_GATEWAY_PORT meant?")
