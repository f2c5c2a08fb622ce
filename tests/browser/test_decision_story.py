"""A decision from beginning to end in the browser: the verdict, the dialog, what changes, the way back, and kill -9.

It has a Decant of its own, because it kills parts of it. The tests are the steps of one story.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Locator, expect

from services.decisions.model import State
from services.domain import Deployment
from services.jobs.states import JobState
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.browser.conftest import OpenTab
from tests.support.ab_test import NAMESPACE, deploy
from tests.support.browser import Visitor
from tests.support.decision_models import Trained, trained_at
from tests.support.system import System
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
IN_ORDER = True

NAME = "cellar"
KEY = f"{NAMESPACE}/{NAME}"
ANSWERS = {"a": 3.0, "b": 6.0}
"""What the two models answer to everything; most wines are a 5 or a 6."""
ROWS = 300
READY_S = 180
READY_MS = READY_S * 1000


@pytest.fixture(scope="module")
def decant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    installation = System(tmp_path_factory.mktemp("decision") / "state")
    try:
        yield installation.start()
    finally:
        installation.stop()
    assert installation.parts() == set(), "processes were left behind"


@pytest.fixture(scope="module")
def trained(decant: System) -> Iterator[Trained]:
    with trained_at(decant.settings.tracking_uri, ANSWERS) as models:
        yield models


@pytest.fixture(scope="module")
def before(decant: System, trained: Trained) -> Deployment:
    """The deployment as it is before anybody decides."""
    return deploy(decant.services, NAME, trained.models, (80, 20)).deployment


def replay(decant: System) -> None:
    """A paired replay, which begins a test if none runs."""
    reward = Reward(RewardKind.BOUNDED)
    spec = ReplaySpec(NAMESPACE, NAME, "wine-quality", "quality", reward, mode=ReplayMode.PAIRED, rows=ROWS)
    number = decant.services.replays.submit(spec, who="ann").id
    wait_until(
        lambda: decant.services.replays.get(number).state is JobState.DONE, timeout_s=READY_S, what="the replay to end"
    )


def champion(decant: System) -> str | None:
    """The run behind the alias; None while nothing has it."""
    client = MlflowClient(decant.settings.tracking_uri)
    version = next((m.aliases.get("champion") for m in client.search_registered_models(f"name = '{NAME}'")), None)
    return None if version is None else str(client.get_model_version(NAME, version).run_id)


def arms(decant: System) -> dict[str, tuple[str, int]]:
    """Model and share of each arm, once the deployment is as it was asked for."""
    found = wait_until(
        lambda: (status := decant.services.engine.get(NAMESPACE, NAME)).settled and status,
        timeout_s=READY_S,
        what=f"{NAME} to be settled",
    )
    assert found.in_force is not None and found.in_force.as_dict() == found.requested.as_dict()
    return {p.name: (p.model_uri, p.traffic) for p in found.deployment.predictors}


def dialog(visitor: Visitor, button: str) -> Locator:
    visitor.press(button)
    found = visitor.page.get_by_role("dialog")
    expect(found).to_be_visible()
    return found


def promote(visitor: Visitor, reason: str) -> None:
    """Open the dialog, read until the page behind it has refreshed, give the reason, press the button."""
    asked = dialog(visitor, "Promote B …")
    expect(asked).to_contain_text("What changes")
    visitor.wait_for_refreshes(2)
    field = asked.get_by_role("textbox", name="Reason")
    field.fill(reason)
    field.press("Tab")
    asked.get_by_role("button", name="Promote B", exact=True).click()


def test_the_verdict_calls_for_b(decant: System, before: Deployment, visitor: Visitor) -> None:
    replay(decant)
    visitor.open("verdict", deployment=KEY)
    expect(visitor.main.locator(".dv-call")).to_contain_text("Ship B")
    expect(visitor.main.get_by_text("Decisions on this deployment")).to_have_count(0)


def test_the_dialog_shows_the_evidence_and_wants_a_reason(decant: System, visitor: Visitor) -> None:
    visitor.open("verdict", deployment=KEY)
    asked = dialog(visitor, "Promote B …")
    expect(asked).to_contain_text(f"{ROWS} rows of paired replay")
    expect(asked).to_contain_text(re.compile(r"\d of 6 checks are green"))
    expect(asked).to_contain_text("All traffic of a and b goes to b at once")
    expect(asked).to_contain_text(f"the alias champion of {NAME} names a new version, the model of b")
    visitor.shoot("30-decision-dialog")
    asked.get_by_role("button", name="Promote B", exact=True).click()
    expect(asked).to_contain_text("Say in a sentence why")
    assert decant.services.decisions.recent(NAMESPACE, NAME) == []


def test_promoted_b_has_all_traffic_and_the_alias(
    decant: System, trained: Trained, before: Deployment, visitor: Visitor
) -> None:
    visitor.open("verdict", deployment=KEY)
    promote(visitor, "fewer bad bottles")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0, timeout=READY_MS)
    visitor.see(re.compile("^Decision 1: B is promoted by tester"))
    assert decant.services.decisions.get(1).state is State.DOING
    asked = dialog(visitor, "Undo this decision …")
    asked.get_by_role("textbox", name="Reason").fill("half a sentence")
    wait_until(
        lambda: decant.services.decisions.get(1).state is State.DONE, timeout_s=READY_S, what="the decision to be done"
    )
    visitor.see("a takes over from b.", timeout_ms=READY_MS)  # the page has seen it, and leaves the dialog alone
    expect(asked.get_by_role("textbox", name="Reason")).to_have_value("half a sentence")
    asked.get_by_role("button", name="Close").click()
    expect(asked).to_have_count(0)
    expect(visitor.main.get_by_role("button", name="New test …")).to_be_disabled()  # the whole page has caught up
    visitor.settle()
    for step in ("All traffic goes to b.", "The alias champion of cellar names it.", "Test 1 ends."):
        visitor.see(step)
    visitor.see("a takes over from b.", timeout_ms=READY_MS)
    expect(visitor.main.get_by_text("Not finished yet")).to_have_count(0)
    visitor.see(f"In MLflow the champion is {NAME} v1.")
    visitor.shoot("31-decided")

    assert arms(decant) == {"a": (before.predictor("b").model_uri, 100)}
    assert champion(decant) == trained.runs["b"]
    with visitor.page.expect_download() as download:
        visitor.press("Report")
    assert download.value.suggested_filename == "decision-1.html"


def test_one_step_takes_all_of_it_back(decant: System, before: Deployment, visitor: Visitor) -> None:
    visitor.open("verdict", deployment=KEY)
    asked = dialog(visitor, "Undo this decision …")
    expect(asked).to_contain_text("Undo decision 1?")
    expect(asked).to_contain_text("B is promoted by tester")
    field = asked.get_by_role("textbox", name="Reason")
    field.fill("it smells of cork")
    field.press("Tab")
    asked.get_by_role("button", name="Undo it").click()
    visitor.see("Taken back", timeout_ms=READY_MS)
    visitor.see("it smells of cork")
    expect(visitor.main.get_by_role("button", name="Undo this decision …")).to_have_count(0)

    assert arms(decant) == {p.name: (p.model_uri, p.traffic) for p in before.predictors}
    assert champion(decant) is None
    visitor.unfold("Decisions on this deployment (1)")
    (line,) = visitor.table_where(lambda rows: len(rows) == 1)
    assert (line["Decided"], line["State"], line["Overridden"]) == ("promote", "undone by tester", "no")
    visitor.shoot("32-undone")


def test_killed_on_the_way_it_is_completed_and_said(
    decant: System, trained: Trained, before: Deployment, open_tab: OpenTab
) -> None:
    replay(decant)
    decisions = decant.services.decisions
    first = open_tab()
    first.open("verdict", deployment=KEY)
    expect(first.main.locator(".dv-call")).to_contain_text("Ship B")
    promote(first, "the cork was the glass")
    wait_until(lambda: len(decisions.recent(NAMESPACE, NAME)) == 2, timeout_s=READY_S, what="the decision in the store")
    decant.kill("dashboard")
    decant.kill("worker")
    first.page.close()
    first.trouble.clear()  # a tab whose server is gone may say so
    newest = decisions.recent(NAMESPACE, NAME)[0]
    assert newest.state is State.DOING, "it was killed on the way"

    wait_until(lambda: answers(decant), timeout_s=READY_S, what="the dashboard to be back")
    second = open_tab()
    second.open("verdict", deployment=KEY)
    second.see(re.compile(f"^Decision {newest.id}: B is promoted by tester"))
    second.see("a takes over from b.", timeout_ms=READY_MS)
    expect(second.main.get_by_text("Not finished yet")).to_have_count(0)
    second.shoot("33-killed-and-completed")
    assert arms(decant) == {"a": (before.predictor("b").model_uri, 100)}
    assert champion(decant) == trained.runs["b"]
    assert decisions.get(newest.id).state is State.DONE


def answers(decant: System) -> bool:
    try:
        return httpx.get(f"{decant.settings.dashboard_url.rstrip('/')}/_stcore/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
