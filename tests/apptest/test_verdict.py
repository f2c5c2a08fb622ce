"""The Verdict page from the real entry point: the four calls, empty, broken, and what its buttons do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from app.components import verdict_badge
from app.wiring import reader
from services.errors import Unavailable
from services.traffic.rewards import RewardKind
from services.verdict.model import Call
from services.verdict.rule import Decides, LiveFrom, Rule, assumed
from tests.apptest.conftest import Dashboard, texts
from tests.support.verdicts import EXAMPLES, START, ExampleVerdicts, ab_test, ship
from tests.support.waiting import wait_until

WHERE = {"deployment": "seldon/wine"}


@pytest.fixture
def verdicts(dashboard: Dashboard) -> ExampleVerdicts:
    """The example verdicts, with a deployment of two arms for each."""
    made = ExampleVerdicts()
    dashboard.use(verdicts=made)
    for name in EXAMPLES:
        dashboard.deploy(name)
    return made


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def figures(app: AppTest) -> list[dict]:
    return [json.loads(element.proto.json)["figure"] for element in app.get("bidi_component")]


def links(app: AppTest) -> dict[str, str]:
    """Label and query of each link to a page."""
    return {element.proto.label: element.proto.query_string for element in app.get("page_link")}


def test_nothing_deployed_points_to_the_deploy_page(dashboard: Dashboard):
    app = dashboard.open("verdict")
    assert app.title[0].value == "Verdict"
    assert "nothing to compare" in texts(app)
    assert "Deploy a model" in links(app)


def test_a_single_arm_needs_a_challenger(dashboard: Dashboard):
    dashboard.deploy("wine", {"a": 100})
    app = dashboard.open("verdict", **WHERE)
    assert "has one live arm" in texts(app)
    assert links(app)["Add B on the Deploy page"] == "deployment=seldon%2Fwine"
    assert not app.button


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_call_stands_first_with_its_reason(dashboard: Dashboard, verdicts: ExampleVerdicts, name: str):
    app = dashboard.open("verdict", deployment=f"seldon/{name}")
    assert not app.error
    found = EXAMPLES[name]()
    first = app.get("html")[0].proto.body
    assert f">{found.call.value}<" in first
    assert html(app).count('class="dv-card"') == 6
    assert "Rule of test 3" in texts(app)


def test_ship_b_with_all_its_evidence(dashboard: Dashboard, verdicts: ExampleVerdicts):
    app = dashboard.open("verdict", deployment="seldon/ship")
    said, drawn = texts(app), html(app)
    assert "n 4,968" in drawn
    assert "n 500 rows" in said
    assert [len(figure["data"]) > 3 for figure in figures(app)] == [True, True]
    assert "B loses on alcohol 8.0 to 9.4." in said
    assert list(app.dataframe[0].value["Row"]) == [4745, 17, 2210, 981]
    assert "replay=4" in links(app)["Replay 4"]
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels == [
        *("Report (HTML)", "Verdict (CSV)", "Outcomes (Parquet)", "Outcomes (CSV)"),
        *("All tests (Parquet)", "All tests (CSV)"),
    ]
    assert "does not decide" in said  # Welch


def test_without_a_replay_the_page_is_silent_about_rows_and_slices(dashboard: Dashboard, verdicts: ExampleVerdicts):
    app = dashboard.open("verdict", deployment="seldon/running")
    said = texts(app)
    assert "Row by row" not in said
    assert "Where does B lose" not in said
    assert "No rows have been sent to both arms" in said
    assert len(figures(app)) == 1


def test_a_tail_flag_hides_the_winner_and_says_why(dashboard: Dashboard, verdicts: ExampleVerdicts):
    app = dashboard.open("verdict", deployment="seldon/distrust")
    assert all(figure["data"] == [] for figure in figures(app))
    assert "43 % of A" in str(figures(app)[0]["layout"]["annotations"])
    reward = html(app).split("RMSE")[0]
    assert "B is better" not in reward
    assert "Start a new test with the bounded reward" in html(app)
    assert "<b>eve</b>" not in texts(app)


def test_a_test_without_evidence_points_to_the_replay(dashboard: Dashboard, verdicts: ExampleVerdicts):
    app = dashboard.open("verdict", deployment="seldon/fresh")
    assert "No evidence in this test yet" in texts(app)
    assert "sending=Replay" in links(app)["Replay a dataset to both arms"]
    assert not figures(app)


def test_the_first_test_is_started_from_the_page_with_its_rule(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    app = dashboard.open("verdict", **WHERE)
    assert "No test has been started" in texts(app)
    key = "first-seldon-wine"
    app.button(key=f"{key}-start").click().run()
    assert "Give a reason" in texts(app)
    assert verdicts.started == []
    app.number_input(key=f"{key}-effect").set_value(0.002)
    app.number_input(key=f"{key}-errors").set_value(2.0)
    app.selectbox(key=f"{key}-slow-ms").set_value(50)
    app.radio(key=f"{key}-decides").set_value(Decides.EITHER)
    app.text_input(key=f"{key}-why").set_value("is B better?")
    app.button(key=f"{key}-start").click().run()
    assert not app.exception
    ((rule, note),) = verdicts.started
    assert (rule.champion, rule.challenger) == ("a", "b")
    assert rule.minimum_effect == 0.002
    assert rule.decides is Decides.EITHER
    assert (rule.guardrails.error_increase, rule.guardrails.slow_ms) == (0.02, 50)
    assert (note.who, note.why) == ("ann", "is B better?")
    assert "Rule of test 1" in texts(app)


def test_an_impossible_rule_is_refused_in_words(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    app = dashboard.open("verdict", **WHERE)
    key = "first-seldon-wine"
    app.selectbox(key=f"{key}-challenger").set_value("a")
    app.text_input(key=f"{key}-why").set_value("why not")
    app.button(key=f"{key}-start").click().run()
    assert "compares two different arms" in texts(app)
    assert verdicts.started == []


def test_a_new_rule_is_a_new_test(dashboard: Dashboard, verdicts: ExampleVerdicts):
    app = dashboard.open("verdict", deployment="seldon/keep")
    app.button(key="new-test").click().run()
    assert "ends the test before it" in texts(app)
    key = "dialog-seldon-keep"
    assert app.number_input(key=f"{key}-effect").value == 0.002  # begins with the rule that is
    app.number_input(key=f"{key}-alpha").set_value(0.01)
    app.text_input(key=f"{key}-why").set_value("surer")
    # A browser reruns the open dialog alone; AppTest reruns everything, so the dialog is opened again with it.
    app.button(key="new-test").click()
    app.button(key=f"{key}-start").click().run()
    assert not app.exception
    assert [rule.alpha for rule, _ in verdicts.started] == [0.01]
    assert "Rule of test 4" in texts(app)
    assert app.selectbox(key="pick-test").options[0].startswith("Test 4, running")


def test_arms_that_are_gone_are_not_offered(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine", {"b": 60, "c": 40})
    verdicts.past["wine"] = [ab_test("wine", id=1, ended_at=START, ended_why="a is gone")]
    app = dashboard.open("verdict", **WHERE)
    app.button(key="new-test").click().run()
    chosen = [app.selectbox(key=f"dialog-seldon-wine-{role}") for role in ("champion", "challenger")]
    assert [box.options for box in chosen] == [["b", "c"], ["b", "c"]]
    assert [box.value for box in chosen] == ["b", "c"]


def test_with_one_arm_left_the_verdict_stays_and_no_test_can_be_started(
    dashboard: Dashboard, verdicts: ExampleVerdicts
):
    dashboard.deploy("wine", {"a": 100})
    verdicts.past["wine"] = [ab_test("wine", id=1, ended_at=START, ended_why="decided")]
    app = dashboard.open("verdict", **WHERE)
    assert "Rule of test 1" in texts(app)
    assert app.button(key="new-test").disabled


def test_an_older_test_can_be_read_and_linked(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    old = ab_test("wine", id=1, ended_at=START, ended_why="decided", why="the first")
    verdicts.past["wine"] = [ab_test("wine", id=2), old]
    app = dashboard.open("verdict", **WHERE)
    assert "Rule of test 2" in texts(app)
    app.selectbox(key="pick-test").set_value("1").run()
    assert app.query_params["test"] == "1"
    assert "Rule of test 1" in texts(app)
    assert "decided" in texts(app)
    linked = dashboard.open("verdict", **WHERE, test="1")
    assert "Rule of test 1" in texts(linked)
    elsewhere = dashboard.open("verdict", deployment="seldon/ship", test="1")  # a number of another deployment
    assert "Rule of test 3" in texts(elsewhere)


def test_a_test_started_elsewhere_takes_over_the_page(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    verdicts.past["wine"] = [ab_test("wine", id=1)]
    app = dashboard.open("verdict", **WHERE)
    verdicts.past["wine"] = [ab_test("wine", id=2), ab_test("wine", id=1, ended_at=START)]
    from app import reads

    reads.forget()
    app.run()
    assert "Rule of test 2" in texts(app)


def test_the_store_down_is_said_once(dashboard: Dashboard, verdicts: ExampleVerdicts):
    verdicts.down = Unavailable("The evidence store")
    app = dashboard.open("verdict", deployment="seldon/ship")
    assert len(app.error) == 1
    assert "The evidence store does not answer" in app.error[0].value
    assert app.selectbox[0].value == "seldon/ship"


def test_prometheus_down_the_replay_stays_and_the_page_says_so(dashboard: Dashboard, verdicts: ExampleVerdicts):
    found = ship()
    withheld = "Prometheus does not answer, so the live rewards cannot be read."
    live = replace(found.live, n=0, n_a=0, n_b=0, interval=None, curve=(), welch=None, withheld=withheld)
    half = replace(found, live=live, table=tuple(r for r in found.table if r.source.value == "paired"))

    class Half(ExampleVerdicts):
        def assess(self, namespace: str, deployment: str, test_id: int | None = None):
            return half

    dashboard.use(verdicts=Half())
    app = dashboard.open("verdict", deployment="seldon/ship")
    paired, lost = figures(app)
    assert len(paired["data"]) > 3
    assert lost["data"] == []
    assert "Prometheus does not answer" in str(lost["layout"]["annotations"]).replace("<br>", " ")
    assert "Row by row" in texts(app)


def test_engine_down_the_linked_verdict_stays(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.engine.down = "The engine"
    app = dashboard.open("verdict", deployment="seldon/ship")
    assert "The engine does not answer" in texts(app)
    assert ">Ship B<" in html(app)


def test_a_part_that_breaks_takes_no_other_along(dashboard: Dashboard, verdicts: ExampleVerdicts):
    class Odd(ExampleVerdicts):
        def assess(self, namespace: str, deployment: str, test_id: int | None = None):
            return replace(ship(), checks=(None,))  # type: ignore[arg-type]

    dashboard.use(verdicts=Odd())
    app = dashboard.open("verdict", deployment="seldon/ship")
    assert [e.value for e in app.error if "The trust strip met an error" in e.value]
    assert ">Ship B<" in html(app)
    assert len(figures(app)) == 2


def test_overview_shows_the_verdict_once_it_is_known(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")  # without a test
    dashboard.open("overview")
    for name in ("ship", "distrust"):
        wait_until(lambda name=name: verdict_badge.latest(reader(), "seldon", name) is not None, what="the verdict")
    said = texts(dashboard.open("overview"))
    assert said.count(Call.SHIP.value) == 1
    assert said.count(Call.DISTRUST.value) == 1
    assert verdict_badge.latest(reader(), "seldon", "wine") is None


def test_overview_does_without_verdicts_when_they_cannot_be_had(dashboard: Dashboard, verdicts: ExampleVerdicts):
    verdicts.down = Unavailable("The evidence store")
    app = dashboard.open("overview")
    assert not app.exception
    assert Call.SHIP.value not in texts(app)
    assert verdict_badge.latest(reader(), "seldon", "ship") is None


def test_a_silent_place_is_named_and_the_other_one_is_shown_for_information(
    dashboard: Dashboard, verdicts: ExampleVerdicts
):
    said = texts(dashboard.open("verdict", deployment="seldon/unread"))
    assert "reads live traffic from the arms’ counters" in said
    assert "For information only" in said and "by the ledger (4,000 rewards)" in said


def test_an_older_rule_says_how_it_is_read(dashboard: Dashboard, verdicts: ExampleVerdicts):
    stored = Rule().to_json()
    del stored["decides"], stored["live_from"]
    verdicts.past["ship"] = [ab_test("ship", Rule.from_json(stored), read_as=assumed(stored))]
    said = texts(dashboard.open("verdict", deployment="seldon/ship"))
    assert "fixed before Decant knew deciding sources" in said
    assert "fixed before rules said where live traffic is read" in said


def test_where_live_traffic_is_read_is_chosen_with_the_rule(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    app = dashboard.open("verdict", **WHERE)
    app.radio(key="first-seldon-wine-live-from-counters-2").set_value(LiveFrom.LEDGER)
    app.text_input(key="first-seldon-wine-why").set_value("is B better?")
    app.button(key="first-seldon-wine-start").click().run()
    assert not app.exception
    assert [rule.live_from for rule, _ in verdicts.started] == [LiveFrom.LEDGER]


def test_a_test_may_go_by_any_reward_of_the_catalogue(dashboard: Dashboard, verdicts: ExampleVerdicts):
    dashboard.deploy("wine")
    app = dashboard.open("verdict", **WHERE)
    app.selectbox(key="first-seldon-wine-reward").set_value(RewardKind.LOG_LOSS).run()
    assert app.radio(key="first-seldon-wine-live-from-ledger-1").value is LiveFrom.LEDGER
    app.text_input(key="first-seldon-wine-why").set_value("are its probabilities better?")
    app.button(key="first-seldon-wine-start").click().run()
    assert not app.exception
    assert [rule.reward.kind for rule, _ in verdicts.started] == [RewardKind.LOG_LOSS]
