"""Deployments that another tool manages: shown with who does, and changed only after a tick."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import reads
from services.domain import Deployment, Phase, Predictor, Split
from tests.apptest.conftest import NOTE, Dashboard, texts

KEY = "seldon/wine"
TICK = "Take it over from argocd-controller"


@pytest.fixture
def foreign(dashboard: Dashboard) -> Dashboard:
    arms = (Predictor("a", "s3://m/a", traffic=80), Predictor("b", "s3://m/b", traffic=20))
    dashboard.engine.apply(Deployment("seldon", "wine", arms), note=NOTE)
    dashboard.engine.managers["seldon", "wine"] = "argocd-controller"
    return dashboard


def button(app, label: str):
    return next(b for b in app.button if b.label == label)


def tick(app, key: str):
    return next(c for c in app.checkbox if c.key == f"take-over-{key}")


def test_the_card_says_who_manages_it(foreign: Dashboard):
    assert "managed by argocd-controller" in texts(foreign.open("overview"))


def test_its_history_does_not_claim_that_nobody_changed_it(foreign: Dashboard):
    assert "Nobody changed anything with Decant." in texts(foreign.open("deploy", deployment=KEY))


def test_its_traffic_is_moved_only_after_the_tick(foreign: Dashboard):
    app = foreign.open("deploy", deployment=KEY)
    assert "may put its own state back" in texts(app)
    next(s for s in app.slider).set_value(50).run()
    assert button(app, "Move traffic").disabled
    box = tick(app, f"split-{KEY}")
    assert box.label == TICK
    box.check().run()
    button(app, "Move traffic").click().run()
    assert not app.exception
    status = foreign.engine.get("seldon", "wine")
    assert (status.requested.as_dict(), status.managed_by) == ({"a": 50, "b": 50}, "")


def test_it_is_deleted_only_after_the_tick(foreign: Dashboard):
    app = foreign.open("deploy", deployment=KEY)
    button(app, "Delete deployment …").click().run()
    assert app.button(key="delete-confirmed").disabled
    # A browser reruns the open dialog alone; AppTest reruns everything, so the dialog is opened again with it.
    tick(app, "delete").check()
    button(app, "Delete deployment …").click().run()
    assert not app.button(key="delete-confirmed").disabled
    button(app, "Delete deployment …").click()
    app.button(key="delete-confirmed").click().run()
    assert not app.exception
    assert foreign.engine.list() == []


def test_an_undo_asks_first_even_for_a_moved_split(foreign: Dashboard):
    foreign.engine.managers.clear()
    foreign.services.operations.set_traffic("seldon", "wine", Split.of({"a": 60, "b": 40}), note=NOTE)
    foreign.engine.managers["seldon", "wine"] = "kubectl"
    app = foreign.open("deploy", deployment=KEY)
    button(app, "Undo last change").click().run()
    assert "moves the traffic back" in texts(app)
    assert app.button(key="undo-confirmed").disabled
    tick(app, "undo").check()
    button(app, "Undo last change").click().run()
    assert not app.button(key="undo-confirmed").disabled
    button(app, "Undo last change").click()
    app.button(key="undo-confirmed").click().run()
    assert foreign.engine.get("seldon", "wine").requested.as_dict() == {"a": 80, "b": 20}


def test_what_decant_does_not_write_is_shown_whole_and_only_its_traffic_can_be_moved(foreign: Dashboard):
    foreign.engine.unwritable["seldon", "wine"] = "It holds what Decant does not write: a wants SKLEARN_SERVER."
    app = foreign.open("deploy", deployment=KEY)
    assert "SKLEARN" in texts(app)
    assert any("kind: SeldonDeployment" in code.value for code in app.code)
    labels = [b.label for b in app.button]
    assert "Move traffic" in labels
    assert not {"Apply", "Delete deployment …"} & set(labels)


def test_more_time_is_given_only_after_the_tick(foreign: Dashboard):
    foreign.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "its model was not loaded within 120 s")
    app = foreign.open("deploy", deployment=KEY)
    assert app.button(key="time-seldon/wine-b").disabled
    tick(app, "time-seldon/wine-b").check().run()
    app.button(key="time-seldon/wine-b").click().run()
    assert not app.exception
    status = foreign.engine.get("seldon", "wine")
    assert (status.deployment.predictor("b").start_budget_s, status.managed_by) == (300, "")


def test_what_another_tool_has_made_anew_is_not_offered_to_be_brought_back(foreign: Dashboard):
    foreign.services.operations.delete("seldon", "wine", note=replace(NOTE, take_over=True))
    assert "Bring back" in [b.label for b in foreign.open("deploy", deployment="seldon/other").button]
    foreign.engine.apply(Deployment("seldon", "wine", (Predictor("a", "s3://m/a"),)), note=NOTE)
    foreign.engine.managers["seldon", "wine"] = "argocd-controller"
    reads.forget()
    app = foreign.open("deploy", deployment="seldon/other")
    assert "Bring back" not in [b.label for b in app.button]
