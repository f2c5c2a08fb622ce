"""Secret, start budget and resources of an arm on the Deploy page: offered as far as the engine makes use of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import reads, wiring
from services.domain import ArmOption, Deployment, Finding, Fix, Predictor, Resources, Severity
from services.factory import Services, build_services
from services.settings import Settings
from tests.apptest.conftest import MAIN, NOTE, TIMEOUT_S, Dashboard, texts
from tests.support import kube_server
from tests.support.operator import StatusOperator
from tests.support.runs import Seeded
from tests.support.waiting import wait_until

KEY = "seldon/wine"
GIVEN = Predictor(
    "b", "models:/m-b", 20, env_secret="store", start_budget_s=600, resources=Resources("250m", "512Mi", "2", "1Gi")
)


def fields(app: AppTest, letter: str) -> dict[str, object]:
    """The fields of an arm beside model and replicas, by label."""
    inputs = [*app.text_input, *app.number_input]
    return {i.label: i.value for i in inputs if i.key and f"-{letter}-" in i.key and not i.key.startswith("replicas")}


def field(app: AppTest, letter: str, label: str):
    inputs = [*app.text_input, *app.number_input]
    return next(i for i in inputs if i.label == label and i.key and f"-{letter}-" in i.key)


@pytest.fixture
def live(dashboard: Dashboard) -> Dashboard:
    """An engine that makes use of everything, with a deployment whose B has everything."""
    dashboard.engine.arm_options = frozenset(ArmOption)
    deployment = Deployment("seldon", "wine", (Predictor("a", "models:/m-a", 80), GIVEN))
    dashboard.services.operations.apply(deployment, note=NOTE)
    return dashboard


def test_only_what_the_engine_makes_use_of_has_a_field_and_the_rest_is_kept(live: Dashboard):
    live.engine.arm_options = frozenset({ArmOption.START_BUDGET})
    app = live.open("deploy", deployment=KEY)
    assert fields(app, "B") == {"Start budget, seconds": 600}
    field(app, "B", "Start budget, seconds").set_value(900).run()
    app.button(key="apply").click().run()
    assert not app.exception
    b = live.engine.get("seldon", "wine").deployment.predictor("b")
    assert b == replace(GIVEN, start_budget_s=900)


def test_an_engine_that_makes_use_of_nothing_gets_no_fields(live: Dashboard):
    live.engine.arm_options = frozenset()
    app = live.open("deploy", deployment=KEY)
    assert fields(app, "B") == {}
    assert "More settings" not in [e.label for e in app.expander]


def test_the_fields_begin_with_what_is_live_and_an_untouched_form_changes_nothing(live: Dashboard):
    app = live.open("deploy", deployment=KEY)
    assert fields(app, "A") == {
        "Start budget, seconds": None,
        "Secret": "",
        "CPU request": "",
        "CPU limit": "",
        "Memory request": "",
        "Memory limit": "",
    }
    assert list(fields(app, "B").values()) == ["store", "250m", "2", "512Mi", "1Gi", 600]
    assert "may take 10" in texts(app) and "secret store, CPU 250m to 2, memory 512Mi to 1Gi" in texts(app)
    assert app.button(key="apply").disabled
    assert "what is live already" in texts(app)


def test_they_are_set_changed_and_taken_away(live: Dashboard):
    app = live.open("deploy", deployment=KEY)
    field(app, "A", "Memory limit").set_value(" 2Gi ").run()
    field(app, "B", "Secret").set_value("").run()
    field(app, "B", "Start budget, seconds").set_value(None).run()
    app.button(key="apply").click().run()
    assert not app.exception
    a, b = live.engine.get("seldon", "wine").deployment.predictors
    assert a.resources == Resources(memory_limit="2Gi")
    assert b == replace(GIVEN, env_secret="", start_budget_s=None)
    change = live.services.operations.history("seldon", "wine")[0]
    live.services.operations.undo("seldon", "wine", note=NOTE)
    assert live.engine.get("seldon", "wine").deployment.predictor("b") == GIVEN, change


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("CPU request", "lots", "The cpu request of a is “lots”, not a quantity such as 500m or 2."),
        ("Memory limit", "2 GB", "The memory limit of a is “2 GB”, not a quantity such as 512Mi or 2Gi."),
        ("Secret", "My Secret", "“My Secret”, the secret of a, is not a name that a Secret can have."),
    ],
)
def test_what_cannot_be_is_a_sentence_and_is_not_applied(live: Dashboard, label: str, value: str, words: str):
    app = live.open("deploy", deployment=KEY)
    field(app, "A", label).set_value(value).run()
    assert not app.exception
    assert words in texts(app)
    assert app.button(key="apply").disabled


def test_a_request_above_its_limit_is_a_sentence(live: Dashboard):
    app = live.open("deploy", deployment=KEY)
    field(app, "B", "Memory request").set_value("4Gi").run()
    assert "The memory request of b (4Gi) is more than its limit (1Gi)." in texts(app)
    assert app.button(key="apply").disabled


def test_a_new_deployment_gets_them_for_each_arm_and_the_shadow(seeded: Seeded, dashboard: Dashboard):
    dashboard.engine.arm_options = frozenset(ArmOption)
    app = dashboard.open("deploy", a=seeded.first, b=seeded.second)
    app.selectbox(key="model-C-new-0").set_value(seeded.second).run()
    for letter, secret in zip("ABC", ("one", "two", "three"), strict=True):
        field(app, letter, "Secret").set_value(secret).run()
    app.button(key="apply").click().run()
    assert not app.exception
    arms = dashboard.engine.get("seldon", "mlflow-deployment").deployment.predictors
    assert [p.env_secret for p in arms] == ["one", "two", "three"]


def test_the_button_of_the_check_fills_in_the_field_which_can_be_changed_after(seeded: Seeded, live: Dashboard):
    warning = Finding(Severity.WARNS, "time", "It builds for minutes.", "Give it 20 minutes.", "a", Fix.START_BUDGET)
    live.engine.findings = [warning]
    app = live.open("deploy", deployment=KEY, a=seeded.second)
    next(b for b in app.button if b.label == "Give it 20 min").click().run()
    assert field(app, "A", "Start budget, seconds").value == 1200
    field(app, "A", "Start budget, seconds").set_value(300).run()
    app.button(key="apply").click().run()
    assert not app.exception
    assert live.engine.get("seldon", "wine").deployment.predictor("a").start_budget_s == 300


@pytest.fixture
def in_a_cluster(tmp_path: Path, tracking_uri: str) -> Iterator[tuple[Services, str]]:
    """The dashboard with the Kubernetes engine on the stand-in API server, and its namespace."""
    with kube_server.running(tmp_path) as stand_in, StatusOperator(stand_in.admin):
        namespace = stand_in.namespace()
        settings = Settings(
            state_dir=tmp_path / "state",
            user="ann",
            engine="kubernetes",
            kubeconfig=str(stand_in.kubeconfig),
            namespaces=namespace,
            mlflow_tracking_uri=tracking_uri,
        )
        made = build_services(settings)
        wiring.use_builder(lambda: made)
        reads.forget()
        yield made, namespace
        wiring.use_builder(None)
        reads.forget()
        st.cache_resource.clear()
        made.close()


def test_in_a_cluster_they_reach_the_manifest_and_stay_on_a_later_change(in_a_cluster: tuple[Services, str]):
    built, namespace = in_a_cluster
    arms = (Predictor("a", "s3://m/a", traffic=80), Predictor("b", "s3://m/b", traffic=20))
    built.operations.apply(Deployment(namespace, "wine", arms), note=NOTE)
    wait_until(lambda: built.engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    app = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S)
    app.query_params["deployment"] = f"{namespace}/wine"
    app.run()
    app.switch_page("../pages/deploy.py").run()
    field(app, "B", "Secret").set_value("store").run()
    field(app, "B", "Start budget, seconds").set_value(1200).run()
    field(app, "B", "CPU limit").set_value("2").run()
    field(app, "B", "Memory request").set_value("1Gi").run()
    app.button(key="apply").click().run()
    assert not app.exception
    wanted = replace(
        arms[1], env_secret="store", start_budget_s=1200, resources=Resources(memory_request="1Gi", cpu_limit="2")
    )
    assert built.engine.get(namespace, "wine").deployment.predictors == (arms[0], wanted)
    manifest = built.engine.manifest(namespace, "wine")
    assert "envSecretRefName: store" in manifest and "initialDelaySeconds: 1200" in manifest
    assert fields(app, "B")["Secret"] == "store"
    app.number_input(key=next(i.key for i in app.number_input if i.key.startswith("replicas-B"))).set_value(2).run()
    app.button(key="apply").click().run()
    assert not app.exception
    assert built.engine.get(namespace, "wine").deployment.predictor("b") == replace(wanted, replicas=2)
