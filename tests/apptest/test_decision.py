"""The decision below a verdict: what stands in its way, the reason, what became of it, and the way back."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app import reads
from services.decisions.model import Kind, State
from services.decisions.service import open_decisions
from services.deployments.identity import installation
from services.domain import ChangeNote, Phase
from services.tracking.registry import Registry
from services.verdict.model import Assessment
from tests.apptest.conftest import TIMEOUT_S, Dashboard, texts
from tests.support import verdicts
from tests.support.decisions import Evidence


@pytest.fixture
def desk(dashboard: Dashboard) -> Dashboard:
    """A deployment with a running test, on a dashboard that decides about its own engine."""
    built = dashboard.services
    evidence = Evidence(built.store)
    dashboard.use(
        decisions=open_decisions(
            built.settings,
            built.engine,
            built.operations,
            built.store,
            Registry(built.settings.tracking_uri),
            evidence.assess,
            lambda: installation(built.settings.paths.root),
        ),
        verdicts=evidence,
    )
    dashboard.deploy("wine")
    return dashboard


def start(desk: Dashboard, example: str) -> None:
    """Begin a test of the deployment under the rule of an example."""
    rule = verdicts.EXAMPLES[example]().test.rule.to_json()
    desk.services.store.tests.start("seldon", "wine", rule, "models:/m-a", "models:/m-b", "ann", "is b better?")


def assess(desk: Dashboard, example: str) -> Assessment:
    """What the evidence on the deployment's test says from now on; the test begins if there is none."""
    if not desk.services.store.tests.recent("seldon", "wine", 1):
        start(desk, example)
    evidence = desk.services.verdicts
    assert isinstance(evidence, Evidence)
    evidence.examples["wine"] = example
    return evidence.assess("seldon", "wine")


def page() -> None:
    import streamlit as st

    from app.components import dialogs
    from app.components.decision import draw_decision

    draw_decision(st.session_state["assessment"])
    dialogs.draw_asked()  # as app/main.py does after the page


def look(desk: Dashboard, example: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=TIMEOUT_S)
    app.session_state["assessment"] = assess(desk, example)
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, key: str, opener: str) -> AppTest:
    """Press a button in a dialog. A browser reruns the open dialog alone; AppTest reruns all, so it is opened again."""
    app.button(key=opener).click()
    app.button(key=key).click().run()
    assert not app.exception
    return app


def opener(kind: Kind) -> str:
    return f"decide-{kind}-1"


def test_the_dialog_shows_the_evidence_and_what_changes(desk: Dashboard) -> None:
    app = look(desk, "ship")
    assert [b.label for b in app.button] == ["Promote B …", "Keep A …", "End the test …"]
    app.button(key=opener(Kind.PROMOTE)).click().run()
    said = texts(app)
    assert "a prediction more than A in the paired replay" in said
    assert "500 rows of paired replay" in said
    assert "6 of 6 checks are green" in said
    assert "All traffic of a and b goes to b at once" in said
    assert "no run in MLflow" in said
    assert not app.button(key="decision-confirm").disabled


def test_a_promotion_and_its_undo(desk: Dashboard) -> None:
    app = look(desk, "ship")
    app.button(key=opener(Kind.PROMOTE)).click().run()
    app.text_area(key="decision-reason").set_value("fewer bad bottles")
    press(app, "decision-confirm", opener(Kind.PROMOTE))
    served = desk.engine.get("seldon", "wine").deployment.predictors
    assert [(p.name, p.model_uri, p.traffic) for p in served] == [("a", "models:/m-b", 100)]

    app = look(desk, "ship")
    assert "Decision 1: B is promoted" in texts(app) and "fewer bad bottles" in texts(app)
    assert not [b for b in app.button if b.key.startswith("decide-")], "an ended test is not decided again"
    app.button(key="decision-undo-1").click().run()
    app.text_area(key="decision-undo-reason").set_value("it smells of cork")
    press(app, "decision-undo-confirm", "decision-undo-1")
    assert desk.engine.get("seldon", "wine").requested.as_dict() == {"a": 80, "b": 20}
    app = look(desk, "ship")
    assert "Taken back" in texts(app) and "it smells of cork" in texts(app)
    assert not [b for b in app.button if b.key == "decision-undo-1"]


def test_a_verdict_that_changed_under_the_open_dialog_is_told_and_shown(desk: Dashboard) -> None:
    app = look(desk, "ship")
    app.button(key=opener(Kind.PROMOTE)).click().run()
    app.text_area(key="decision-reason").set_value("fewer bad bottles")
    assess(desk, "distrust")
    press(app, "decision-confirm", opener(Kind.PROMOTE))
    said = texts(app)
    assert "it was Ship B, it is Do not trust yet." in said
    assert "Look again, then decide." in said
    assert "43 % of A's sum" in said and "6 of 6 checks are green" not in said, "the new evidence"
    assert app.button(key="decision-confirm").disabled and not app.checkbox(key="decision-override").value
    assert app.text_area(key="decision-reason").value == "fewer bad bottles", "what was typed stays"
    assert desk.services.decisions.recent("seldon", "wine") == []


def test_a_decision_that_somebody_took_back_meanwhile_is_not_undone_twice(desk: Dashboard) -> None:
    decisions = desk.services.decisions
    assess(desk, "ship")
    first = decisions.decide(Kind.END, "seldon", "wine", note=ChangeNote("lead", "no use"))
    start(desk, "ship")
    second = decisions.decide(Kind.END, "seldon", "wine", note=ChangeNote("lead", "no use either"))
    app = look(desk, "ship")
    app.button(key=f"decision-undo-{second.id}").click().run()
    assert f"Decision {second.id}: the test ends without a winner" in texts(app)
    app.text_area(key="decision-undo-reason").set_value("it smells of cork")
    decisions.undo("seldon", "wine", note=ChangeNote("carol", "quicker"), decision=second.id)
    press(app, "decision-undo-confirm", f"decision-undo-{second.id}")
    assert "carol has taken it back" in texts(app)
    assert decisions.get(first.id).state is State.DONE


def test_the_list_says_what_was_overridden_and_who_took_what_back(desk: Dashboard) -> None:
    app = look(desk, "distrust")
    assert not app.dataframe, "nobody has decided anything"
    decisions = desk.services.decisions
    made = decisions.decide(Kind.KEEP, "seldon", "wine", note=ChangeNote("lead", "fire"), override=True)
    decisions.undo("seldon", "wine", note=ChangeNote("bob", "cork"), decision=made.id)
    reads.forget()  # that was done elsewhere
    app = look(desk, "distrust")
    (line,) = app.dataframe[0].value.to_dict("records")
    assert (line["Id"], line["State"], line["Overridden"], line["Who"]) == ("1", "undone by bob", "yes", "lead")
    assert "undone by bob" in texts(app)


def test_without_a_reason_nothing_happens(desk: Dashboard) -> None:
    app = look(desk, "ship")
    app.button(key=opener(Kind.PROMOTE)).click().run()
    press(app, "decision-confirm", opener(Kind.PROMOTE))
    assert "Say in a sentence why" in texts(app)
    assert desk.services.decisions.recent("seldon", "wine") == []


def test_a_red_check_disables_it_until_it_is_overridden(desk: Dashboard) -> None:
    app = look(desk, "distrust")
    app.button(key=opener(Kind.PROMOTE)).click().run()
    assert "43 % of A's sum" in texts(app)
    assert app.button(key="decision-confirm").disabled
    app.text_area(key="decision-reason").set_value("the cellar is on fire")
    app.checkbox(key="decision-override").check()
    app.button(key=opener(Kind.PROMOTE)).click().run()
    assert not app.button(key="decision-confirm").disabled
    press(app, "decision-confirm", opener(Kind.PROMOTE))
    (made,) = desk.services.decisions.recent("seldon", "wine")
    assert made.overridden
    assert "Overridden" in texts(look(desk, "distrust"))


def test_ending_needs_no_evidence(desk: Dashboard) -> None:
    app = look(desk, "distrust")
    app.button(key=opener(Kind.END)).click().run()
    assert not [box for box in app.checkbox if box.key == "decision-override"]
    assert not app.button(key="decision-confirm").disabled


def test_a_part_that_is_away_is_named_and_nothing_can_be_pressed(desk: Dashboard) -> None:
    app = look(desk, "ship")
    desk.engine.down = "The engine"
    app.button(key=opener(Kind.PROMOTE)).click().run()
    assert "The engine does not answer" in texts(app)
    assert app.button(key="decision-confirm").disabled


def test_an_unfinished_decision_says_what_it_waits_for(desk: Dashboard) -> None:
    desk.engine.phases["seldon", "wine", "a"] = (Phase.LOADING, "its model server is starting")
    app = look(desk, "ship")
    app.button(key=opener(Kind.PROMOTE)).click().run()
    app.text_area(key="decision-reason").set_value("fewer bad bottles")
    press(app, "decision-confirm", opener(Kind.PROMOTE))
    said = texts(look(desk, "ship"))
    assert "Not finished yet" in said and "its model server is starting" in said
    desk.engine.phases.clear()
    app = look(desk, "ship")
    assert "Not finished yet" not in texts(app)
    assert desk.services.decisions.get(1).finished
