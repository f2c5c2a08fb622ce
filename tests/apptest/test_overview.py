"""The Overview page from the real entry point: full, empty, broken."""

from __future__ import annotations

from services.domain import Phase, Split
from services.errors import Unavailable
from services.health import HealthChecks
from tests.apptest.conftest import NOTE, Dashboard, texts


def _html(app) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def test_empty_it_says_where_to_begin(dashboard: Dashboard):
    app = dashboard.open("overview")
    assert app.title[0].value == "Overview"
    assert "Nothing is deployed yet" in texts(app)
    assert {b.label for b in app.button} >= {"Train the wine example", "Start the guided A/B test"}


def test_the_guide_ticks_off_what_is_really_there(dashboard: Dashboard):
    app = dashboard.open("overview")
    app.button(key="start").click().run()
    assert not app.exception
    assert "0 of 6 done" in texts(app)
    assert app.query_params["guide"] == "1"
    dashboard.deploy(arms={"a": 80, "b": 20})
    app.run()
    assert "3 of 6 done" in texts(app)  # A, B, and traffic on B; no runs, no requests, no replay
    app.button(key="guide-toggle").click().run()
    assert "Guided A/B test" not in texts(app)


def test_training_the_example_queues_both_models(dashboard: Dashboard):
    app = dashboard.open("overview")
    app.button(key="train-wine").click().run()
    assert not app.exception
    queued = dashboard.services.training.recent()
    assert sorted(t.parameters["alpha"] for t in queued) == ["0.5", "0.75"]
    assert {t.who for t in queued} == {"ann"}
    assert "Training the wine example: 0 of 2 models done" in app.get("progress")[0].proto.text


def test_full_it_shows_arms_split_phase_and_the_last_change(dashboard: Dashboard):
    dashboard.deploy("wine", {"a": 80, "b": 20})
    dashboard.deploy("credit", {"only": 100})
    dashboard.services.operations.set_traffic("seldon", "wine", Split.of({"a": 70, "b": 30}), note=NOTE)
    dashboard.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "no such model")
    app = dashboard.open("overview")
    said = texts(app)
    assert "wine" in said
    assert "credit" in said
    assert "run-a" in _html(app)
    assert "in force: 70 / 30" in _html(app)
    assert "failed" in said
    assert "traffic a 80" in said
    assert "a test" in said
    assert "Nothing is deployed yet" not in said


def test_a_split_that_is_not_in_force_shows_both(dashboard: Dashboard):
    dashboard.deploy("wine", {"a": 80, "b": 20})
    dashboard.engine.silent_gateway = True
    app = dashboard.open("overview")
    assert "what is in force cannot be read" in _html(app)


def test_prometheus_down_is_named_and_the_cards_stay(dashboard: Dashboard):
    dashboard.deploy("wine")
    app = dashboard.open("overview")
    said = texts(app)
    assert "Prometheus does not answer" in said
    assert "Charts and rates come back" in said
    assert "wine" in said


def test_engine_down_is_named_and_the_rest_stays(dashboard: Dashboard):
    dashboard.engine.down = "The engine"
    app = dashboard.open("overview")
    assert "The engine does not answer" in texts(app)
    assert "MLflow" in texts(app)
    assert "Nothing is deployed yet" not in texts(app)  # nobody knows
    deploy = dashboard.open("deploy")
    assert "The engine does not answer" in texts(deploy)
    assert not deploy.selectbox and not deploy.text_input, "no form for a new deployment either"


def test_a_defect_becomes_a_plain_panel_with_a_reference(dashboard: Dashboard, caplog):
    class Broken:
        def list(self, namespace=None):
            raise RuntimeError("secret detail")

    dashboard.use(engine=Broken())
    app = dashboard.open("overview")
    said = texts(app)
    assert "The engine met an error it did not expect" in said
    assert "secret detail" not in said
    reference = said.split("reference `")[1].split("`")[0]
    assert any(reference in record.getMessage() and record.exc_info for record in caplog.records)


def test_health_says_what_to_do(dashboard: Dashboard):
    def dead() -> str:
        raise Unavailable("The worker", "last sign of life 40 s ago", "Start Decant with `make run`.")

    dashboard.use(health=HealthChecks({"Worker": dead}))
    app = dashboard.open("overview")
    assert "Start Decant with `make run`." in texts(app)
