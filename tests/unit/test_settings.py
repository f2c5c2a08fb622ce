"""Settings: every variable typed, bounded and documented; bad ones refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.settings_table import MARKER, table
from services.errors import InvalidInput
from services.settings import ROOT, Settings, load_settings


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("DECANT_", "MLFLOW_")):
            monkeypatch.delenv(name)


def test_the_page_of_settings_is_in_step_with_the_code() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page.split(MARKER)[1].strip() == table().strip(), "run `python -m scripts.settings_table --write`"


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("value", ["0", "65536", "http"])
def test_a_bad_port_is_refused_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DECANT_GATEWAY_PORT", value)
    with pytest.raises(InvalidInput, match="DECANT_GATEWAY_PORT") as caught:
        load_settings()
    assert "docs/settings.md" in caught.value.hint


def test_every_bad_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_GATEWAY_PORT", "x")
    monkeypatch.setenv("DECANT_DRAIN_S", "-1")
    with pytest.raises(InvalidInput, match=r"DECANT_GATEWAY_PORT.*DECANT_DRAIN_S"):
        load_settings()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"dashboard_port": 8003}, "DECANT_DASHBOARD_PORT and DECANT_GATEWAY_PORT are both 8003"),
        ({"model_port_first": 9000, "model_port_last": 8999}, "DECANT_MODEL_PORT_LAST is below"),
        ({"dashboard_port": 8150}, "DECANT_DASHBOARD_PORT lies within the model servers' ports"),
        ({"prometheus_retention": "long"}, "DECANT_PROMETHEUS_RETENTION"),
        ({"env_manager": "docker"}, "DECANT_ENV_MANAGER"),
        ({"prometheus_matchers": "cluster=eu1"}, "DECANT_PROMETHEUS_MATCHERS.*not a list of matchers"),
        ({"prometheus_matchers": 'up} or vector(1){x="y"'}, "DECANT_PROMETHEUS_MATCHERS"),
        ({"prometheus_token": "t", "prometheus_user": "u"}, "DECANT_PROMETHEUS_TOKEN and DECANT_PROMETHEUS_USER"),
        ({"prometheus_ca": "/no/such.pem"}, "DECANT_PROMETHEUS_CA names /no/such.pem, which is no file"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        load_settings(**overrides)


def test_by_default_everything_is_local() -> None:
    settings = load_settings()
    assert (settings.runs_mlflow, settings.runs_prometheus) == (True, True)
    assert settings.tracking_uri == "http://127.0.0.1:5000"
    assert settings.prometheus_address == "http://127.0.0.1:9090"
    assert (settings.gateway_url, settings.dashboard_url) == ("http://127.0.0.1:8003", "http://127.0.0.1:8501")
    assert settings.state_dir == ROOT / ".decant"


@pytest.mark.parametrize("variable", ["DECANT_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"])
def test_a_tracking_server_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://mlflow.example:5000")
    settings = load_settings()
    assert settings.tracking_uri == "http://mlflow.example:5000"
    assert not settings.runs_mlflow


def test_decants_own_variable_wins_over_mlflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs")
    monkeypatch.setenv("DECANT_MLFLOW_TRACKING_URI", "http://ours")
    assert load_settings().tracking_uri == "http://ours"


def test_a_prometheus_that_is_there_is_used() -> None:
    settings = load_settings(prometheus_url="http://prom.example/")
    assert settings.prometheus_address == "http://prom.example"
    assert not settings.runs_prometheus


def test_reading_settings_makes_no_files(tmp_path: Path) -> None:
    settings = load_settings(state_dir=tmp_path / "state")
    assert settings.paths.desired == (tmp_path / "state" / "desired").resolve()
    assert settings.store_url.startswith("sqlite:///")
    assert list(tmp_path.iterdir()) == []
    settings.paths.create()
    assert settings.paths.log.is_dir()
    assert not settings.paths.envoy_admin.exists()


def test_the_namespaces_of_a_cluster_are_a_list_with_the_first_as_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_NAMESPACES", "team-a, team-b,team-a")
    assert load_settings().allowed_namespaces == ()
    assert load_settings().default_namespace == "seldon"
    monkeypatch.setenv("DECANT_ENGINE", "kubernetes")
    assert load_settings().allowed_namespaces == ("team-a", "team-b")
    assert load_settings().default_namespace == "team-a"
    monkeypatch.delenv("DECANT_NAMESPACES")
    assert (load_settings().allowed_namespaces, load_settings().default_namespace) == ((), "seldon")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DECANT_NAMESPACES", "team-a,Team B", r"DECANT_NAMESPACES.*Team B.*name\. See docs"),
        ("DECANT_MODEL_STORE", "ftp://x", r"DECANT_MODEL_STORE: “ftp://x” is not a place for models\. Give s3://"),
        ("DECANT_ENGINE", "docker", "DECANT_ENGINE"),
        ("DECANT_INGRESS", "nginx", "DECANT_INGRESS"),
    ],
)
def test_a_bad_word_about_the_cluster_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput, match=words):
        load_settings()
