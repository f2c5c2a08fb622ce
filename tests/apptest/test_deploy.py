"""The Deploy page from the real entry point: new, live, contested, broken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app import reads
from services.domain import ChangeNote, Event, Finding, Fix, Phase, Severity, Split
from services.errors import Unavailable
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from tests.apptest.conftest import NOTE, Dashboard, texts
from tests.support.runs import Seeded
from tests.support.waiting import free_port

KEY = "seldon/wine"


class Counts:
    """A gateway's counters as Prometheus would tell them."""

    def __init__(self, **counts: int) -> None:
        self.counts, self.asked_since = counts, datetime.min.replace(tzinfo=UTC)

    def router_counts(self, namespace: str, name: str, since: datetime) -> dict[str, int]:
        self.asked_since = since
        return self.counts


def html(app) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def button(app, label: str):
    return next(b for b in app.button if b.label == label)


def slider(app):
    return next(s for s in app.slider)


class TestNew:
    def test_without_models_it_leads_to_training(self, dashboard: Dashboard):
        app = dashboard.open("deploy")
        assert app.button(key="apply").disabled
        assert "Choose a model for A" in texts(app)
        button(app, "Train a model").click().run()
        assert app.title[0].value == "Runs"

    @pytest.mark.parametrize(
        ("name", "words"), [("Wine Test", "not a valid deployment name"), ("", "Give the deployment a name")]
    )
    def test_a_bad_name_is_explained_before_applying(self, seeded: Seeded, dashboard: Dashboard, name, words):
        app = dashboard.open("deploy", a=seeded.first)
        app.text_input(key="new-name").set_value(name).run()
        assert words in texts(app)
        assert app.button(key="apply").disabled

    def test_two_runs_become_a_deployment(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a=seeded.first, b=seeded.second)
        app.text_input(key="new-name").set_value("wine").run()
        manifest = next(code.value for code in app.code if "SeldonDeployment" in code.value)
        assert "MLFLOW_SERVER" in manifest
        assert slider(app).value == 20
        next(t for t in app.text_input if t.label == "Reason").set_value("the tutorial").run()
        app.button(key="apply").click().run()
        assert not app.exception
        status = dashboard.engine.get("seldon", "wine")
        assert status.requested.as_dict() == {"a": 80, "b": 20}
        arms = status.deployment.predictors
        assert [p.provenance.run_id for p in arms] == [seeded.first, seeded.second]
        assert [p.parameters[0].value for p in arms] == ["DataFrame", "DataFrame"]
        change = dashboard.services.operations.history("seldon", "wine")[0]
        assert (change.who, change.why, change.what) == ("ann", "the tutorial", "apply")
        assert app.query_params["deployment"] == KEY
        assert "a" not in app.query_params
        assert "all arms ready" in badges(app)

    def test_the_same_model_twice_is_named_an_a_a_test(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a=seeded.first, b=seeded.first)
        assert "an A/A test" in texts(app)
        assert not app.button(key="apply").disabled

    def test_a_shadow_goes_beside(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a=seeded.first)
        app.selectbox(key="model-C-new-0").set_value(seeded.second).run()
        app.button(key="apply").click().run()
        assert not app.exception
        status = dashboard.engine.get("seldon", "mlflow-deployment")
        assert [(p.name, p.shadow) for p in status.deployment.predictors] == [("a", False), ("c", True)]
        assert status.requested.as_dict() == {"a": 100}

    def test_one_model_alone_takes_everything(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a=seeded.old_style)
        assert not app.slider
        app.button(key="apply").click().run()
        status = dashboard.engine.get("seldon", "mlflow-deployment")
        assert status.requested.as_dict() == {"a": 100}

    def test_a_reference_that_leads_nowhere_says_so(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a="models:/no-such/7")
        assert not app.exception
        assert app.button(key="apply").disabled
        assert "no-such" in texts(app)

    def test_a_name_taken_meanwhile_is_refused(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("deploy", a=seeded.first)
        dashboard.deploy("mlflow-deployment", {"a": 100})  # after the form was drawn
        app.button(key="apply").click().run()
        assert not app.exception
        assert dashboard.engine.get("seldon", "mlflow-deployment").deployment.predictors[0].model_uri == "models:/m-a"


def badges(app) -> str:
    return "\n".join(str(m.value) for m in app.markdown)


class TestLive:
    def test_the_split_moves_with_reason_and_comes_back(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        assert button(app, "Move traffic").disabled
        slider(app).set_value(35).run()
        app.text_input(key=f"split-why-{KEY}-0").set_value("b looks fine").run()
        button(app, "Move traffic").click().run()
        assert not app.exception
        assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 65, "b": 35}
        assert dashboard.services.operations.history("seldon", "wine")[0].why == "b looks fine"
        assert slider(app).value == 35
        assert "80 % / b 20 % → a 65 % / b 35 %" in str(app.dataframe[-1].value).replace("\u202f", " ")
        button(app, "Undo last change").click().run()
        assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 80, "b": 20}
        assert slider(app).value == 20

    def test_slider_and_number_follow_each_other(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        app.number_input(key=f"split-{KEY}-0-number").set_value(37).run()
        assert slider(app).value == 37
        slider(app).set_value(5).run()
        assert app.number_input(key=f"split-{KEY}-0-number").value == 5

    def test_a_change_by_somebody_else_is_not_overwritten(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        slider(app).set_value(50).run()
        other = ChangeNote("bob", "fire drill")
        dashboard.services.operations.set_traffic("seldon", "wine", Split.of({"a": 100, "b": 0}), note=other)
        button(app, "Move traffic").click().run()
        assert not app.exception
        assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 100, "b": 0}
        assert "bob" in texts(app)
        app.button(key=f"reload-split-{KEY}").click().run()
        assert slider(app).value == 0

    def test_an_untouched_form_follows_the_truth(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        dashboard.services.operations.set_traffic("seldon", "wine", Split.of({"a": 60, "b": 40}), note=NOTE)
        from app import reads

        reads.forget()
        app.run()
        assert slider(app).value == 40

    def test_observed_inside_and_outside_its_band(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        counts = Counts(a=973, b=231)
        dashboard.use(metrics=counts)
        app = dashboard.open("deploy", deployment=KEY)
        assert "B got 19.2" in html(app)
        assert "of 1,204 requests; 15.9–24.1" in html(app)
        assert "sequential test of the split" in texts(app)
        assert not app.warning and not app.error
        change = dashboard.services.operations.history("seldon", "wine")[0]
        assert counts.asked_since == change.at
        dashboard.use(metrics=Counts(a=804, b=400))
        app = dashboard.open("deploy", deployment=KEY)
        assert any("no accident" in panel.value for panel in app.error)
        dashboard.use(metrics=Counts(a=1204 - 295, b=295))
        app = dashboard.open("deploy", deployment=KEY)
        assert any("rare by chance" in panel.value for panel in app.warning)

    def test_a_failed_arm_shows_reason_log_and_events(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "the model cannot be loaded")
        dashboard.engine.log_lines["seldon", "wine", "b"] = ["ModuleNotFoundError: xgboost"]
        dashboard.engine._entries["seldon", "wine"].events.append(Event(datetime.now(UTC), "Warning", "gave up", "b"))
        app = dashboard.open("deploy", deployment=KEY)
        assert "the model cannot be loaded" in texts(app)
        assert any("xgboost" in code.value for code in app.code)
        assert "waiting for B" in badges(app)
        assert any("gave up" in str(frame.value) for frame in app.dataframe)

    def test_an_arm_on_its_way_up_shows_its_steps_and_its_log(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.phases["seldon", "wine", "b"] = (Phase.LOADING, "its model server is starting")
        dashboard.engine.log_lines["seldon", "wine", "b"] = ["Starting the model server of predictor b"]
        app = dashboard.open("deploy", deployment=KEY)
        assert 'title="environment: under way"' in html(app)
        assert 'title="load: not yet"' in html(app)
        assert any("Starting the model server" in code.value for code in app.code)
        assert "does not start" not in texts(app)

    def test_a_known_failure_comes_with_its_remedy(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "the model cannot be loaded")
        dashboard.engine.log_lines["seldon", "wine", "b"] = ["ModuleNotFoundError: No module named 'xgboost'"]
        app = dashboard.open("deploy", deployment=KEY)
        assert "B does not start" in texts(app)
        assert "needs the Python module xgboost" in texts(app)
        assert "pip install" in texts(app)
        assert not [b for b in app.button if b.label.startswith("Give it")]

    def test_more_time_is_given_by_a_button_and_taken_back_by_undo(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "its model was not loaded within 120 s")
        app = dashboard.open("deploy", deployment=KEY)
        app.button(key="time-seldon/wine-b").click().run()
        assert not app.exception
        assert dashboard.engine.get("seldon", "wine").deployment.predictor("b").start_budget_s == 300
        newest = dashboard.services.operations.history("seldon", "wine")[0]
        assert (newest.who, newest.why) == ("ann", "b may take 300 s to start")
        assert not [b for b in app.button if b.label.startswith("Give it")]  # it is being tried with the new budget
        dashboard.services.operations.undo("seldon", "wine", note=NOTE)
        assert dashboard.engine.get("seldon", "wine").deployment.predictor("b").start_budget_s is None

    def test_a_new_model_for_b_shows_its_difference_and_keeps_the_split(self, seeded: Seeded, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY, b=seeded.second)
        changes = next(code.value for code in app.code if code.value.startswith("--- live"))
        assert "-    modelUri: models:/m-b" in changes.replace("      ", "    ")
        app.button(key="apply").click().run()
        assert not app.exception
        deployment = dashboard.engine.get("seldon", "wine").deployment
        assert deployment.predictor("b").provenance.run_id == seeded.second
        assert deployment.predictor("a").model_uri == "models:/m-a"
        assert deployment.split.as_dict() == {"a": 80, "b": 20}

    def test_what_the_check_finds_blocks_with_its_reason_and_is_mended_by_a_button(
        self, seeded: Seeded, dashboard: Dashboard
    ):
        dashboard.deploy("wine")
        dashboard.engine.findings = [
            Finding(Severity.BLOCKS, "quota", "The quota has no room.", "Ask for less."),
            Finding(Severity.WARNS, "time", "It builds for minutes.", "Give it 20 minutes.", "b", Fix.START_BUDGET),
        ]
        app = dashboard.open("deploy", deployment=KEY, b=seeded.second)
        assert "1 problem, " in texts(app)
        assert "The quota has no room." in texts(app)
        assert "Ask for less." in texts(app)
        assert app.button(key="apply").disabled
        dashboard.engine.findings = dashboard.engine.findings[1:]
        reads.forget()
        button(app, "Give it 20 min").click().run()
        assert not app.exception
        assert not app.button(key="apply").disabled
        app.button(key="apply").click().run()
        assert dashboard.engine.get("seldon", "wine").deployment.predictor("b").start_budget_s == 1200

    def test_nothing_to_apply_says_so(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        assert app.button(key="apply").disabled
        assert "what is live already" in texts(app)

    def test_b_joins_a_lone_a_without_traffic(self, seeded: Seeded, dashboard: Dashboard):
        dashboard.deploy("wine", {"a": 100})
        app = dashboard.open("deploy", deployment=KEY, b=seeded.second)
        app.button(key="apply").click().run()
        assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 100, "b": 0}

    def test_other_peoples_names_and_replicas_stay(self, dashboard: Dashboard):
        dashboard.deploy("wine", {"a-mlflow-deployment-dag": 80, "b-mlflow-deployment-dag": 20})
        app = dashboard.open("deploy", deployment=KEY)
        app.number_input(key=f"replicas-A-{KEY}-0").set_value(3).run()
        app.button(key="apply").click().run()
        arms = dashboard.engine.get("seldon", "wine").deployment.predictors
        assert [(p.name, p.replicas) for p in arms] == [("a-mlflow-deployment-dag", 3), ("b-mlflow-deployment-dag", 1)]

    def test_delete_asks_first_and_can_be_taken_back(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        button(app, "Delete deployment …").click().run()
        assert dashboard.engine.list()
        # A browser reruns the open dialog alone; AppTest reruns everything, so the dialog is opened again with it.
        app.text_input(key="delete-why").set_value("clean up")
        button(app, "Delete deployment …").click()
        app.button(key="delete-confirmed").click().run()
        assert not dashboard.engine.list()
        assert "There is no deployment seldon/wine" in texts(app)
        assert "Deleted of late" in texts(app)
        button(app, "Bring back").click().run()
        assert [s.deployment.key for s in dashboard.engine.list()] == [KEY]


class TestBroken:
    def test_the_engine_down(self, dashboard: Dashboard):
        dashboard.engine.down = "The controller"
        app = dashboard.open("deploy")
        assert not app.exception
        assert "The controller does not answer" in texts(app)

    def test_mlflow_down_leaves_the_split_in_hand(self, dashboard: Dashboard):
        nowhere = f"http://127.0.0.1:{free_port()}"
        dashboard.use(runs=RunCatalogue(nowhere), models=ModelCatalogue(nowhere))
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        assert "MLflow does not answer" in texts(app)
        slider(app).set_value(50).run()
        button(app, "Move traffic").click().run()
        assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 50, "b": 50}

    def test_the_error_of_a_change_goes_when_what_was_silent_is_back(self, dashboard: Dashboard, monkeypatch):
        from app import reads

        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)
        slider(app).set_value(50).run()

        def fail(*_: object, **__: object) -> None:
            raise Unavailable("The cluster", "nothing listens there")

        with monkeypatch.context() as down:
            down.setattr(dashboard.services.operations, "set_traffic", fail)
            button(app, "Move traffic").click().run()
        assert "The cluster does not answer" in texts(app)
        dashboard.engine.notices["seldon", "wine"] = "What is shown is from 12:03"
        reads.forget()
        app.run()
        assert "answers again" not in texts(app), "it is an old copy that is read"
        dashboard.engine.notices.clear()
        reads.forget()
        app.run()
        assert "The cluster does not answer" not in texts(app)
        assert "answers again" in texts(app) and slider(app).value == 50
        app.run()
        assert "answers again" not in texts(app)

    def test_prometheus_down_is_said_where_its_number_would_be(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        app = dashboard.open("deploy", deployment=KEY)  # nobody listens where the tests' Prometheus should be
        assert not app.exception
        assert "Observed: Prometheus does not answer" in texts(app)

    def test_a_silent_gateway_is_told_apart(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.silent_gateway = True
        app = dashboard.open("deploy", deployment=KEY)
        assert "unknown" in html(app)
        assert "Which split is in force cannot be read now" in texts(app)

    def test_a_split_that_cannot_be_in_force_yet_is_no_alarm(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        dashboard.engine.silent_gateway = True
        dashboard.engine.phases |= {("seldon", "wine", arm): (Phase.LOADING, "") for arm in "ab"}
        app = dashboard.open("deploy", deployment=KEY)
        assert "No split is in force yet: no arm is ready." in texts(app) and "not yet" in html(app)
        assert "cannot be read" not in texts(app)
        assert "asked for; not in force yet" in html(dashboard.open("overview"))

    def test_who_changed_it_last_is_said_with_the_time_of_day(self, dashboard: Dashboard):
        dashboard.deploy("wine")
        at = dashboard.engine.get("seldon", "wine").changed_at
        app = dashboard.open("deploy", deployment=KEY)
        assert f"last changed by ann at {at:%H:%M:%S}" in texts(app), "an age would stand still"

    def test_the_history_down(self, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch):
        dashboard.deploy("wine")

        def fail(*_: object, **__: object) -> None:
            raise Unavailable("The evidence store", "disk full")

        monkeypatch.setattr(dashboard.services.operations, "history", fail)
        app = dashboard.open("deploy", deployment=KEY)
        assert not app.exception
        assert "The evidence store does not answer" in texts(app)
        assert "all arms ready" in badges(app)


def test_a_link_to_a_deployment_that_is_gone_offers_to_make_it(dashboard: Dashboard):
    app = dashboard.open("deploy", deployment="seldon/old-one")
    assert "There is no deployment" in texts(app)
    assert app.text_input(key="new-name").value == "old-one"


def test_a_third_arm_made_elsewhere_is_left_alone(dashboard: Dashboard):
    dashboard.deploy("wine", {"a": 50, "b": 30, "c": 20})
    app = dashboard.open("deploy", deployment=KEY)
    app.number_input(key=f"replicas-B-{KEY}-0").set_value(2).run()
    app.button(key="apply").click().run()
    assert not app.exception
    deployment = dashboard.engine.get("seldon", "wine").deployment
    assert deployment.split.as_dict() == {"a": 50, "b": 30, "c": 20}
    assert deployment.predictor("c").model_uri == "models:/m-c"
