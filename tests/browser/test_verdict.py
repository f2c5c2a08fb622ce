"""The Verdict page as people see it: from a paired replay to the call, refreshed under an open form, on any screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from services.domain import ChangeNote, DeploymentStatus
from services.jobs.states import JobState
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from services.verdict.rule import Rule
from tests.browser.conftest import OpenTab
from tests.support.browser import NARROW, RECORD, WIDE, Visitor
from tests.support.system import System
from tests.support.waiting import wait_until

ROWS = 600
REFRESHES = 2
REPLAY_S = 180

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def replayed(decant: System, ab_test: DeploymentStatus) -> str:
    """A test of its own, with a paired replay in it; the deployment's key."""
    namespace, name = ab_test.deployment.namespace, ab_test.deployment.name
    decant.services.verdicts.start(namespace, name, Rule(), note=ChangeNote("ann", "the wider model"))
    spec = ReplaySpec(
        namespace,
        name,
        "wine-quality",
        "quality",
        Reward(RewardKind.BOUNDED),
        mode=ReplayMode.PAIRED,
        rows=ROWS,
    )
    number = decant.services.replays.submit(spec, who="ann").id
    wait_until(
        lambda: decant.services.replays.get(number).state is JobState.DONE, timeout_s=REPLAY_S, what="the replay to end"
    )
    return ab_test.deployment.key


def assessed_again(visitor: Visitor) -> None:
    """Wait until the page has drawn itself anew."""
    caption = visitor.main.get_by_text("Assessed at")
    expect(caption).not_to_have_text(caption.inner_text())


def test_the_call_and_what_it_rests_on(visitor: Visitor, replayed: str) -> None:
    visitor.open("verdict", deployment=replayed)
    expect(visitor.main.locator(".dv-call")).to_contain_text("Ship B")
    expect(visitor.main.locator(".dv-card")).to_have_count(6)
    visitor.see("n 600 rows")
    expect(visitor.main.locator(".dv-table").first).to_contain_text("B is better")
    rows = visitor.table_where(lambda found: len(found) == 10)
    assert len({row["Row"] for row in rows}) == 10
    visitor.shoot("18-verdict")


def test_the_report_can_be_taken_away(visitor: Visitor, replayed: str, tmp_path: Path) -> None:
    visitor.open("verdict", deployment=replayed)
    visitor.main.get_by_text("Why: formulas").click()
    with visitor.page.expect_download() as download:
        visitor.press("Report (HTML)")
    target = tmp_path / download.value.suggested_filename
    download.value.save_as(target)
    page = visitor.page.context.new_page()
    page.goto(target.as_uri())
    expect(page.locator("h1")).to_contain_text("Ship B")
    expect(page.locator("svg polygon")).to_have_count(1)
    with visitor.page.expect_download() as download:
        visitor.press("Outcomes (CSV)")
    assert len(Path(download.value.path()).read_text().splitlines()) == 2 * ROWS + 1


def test_refreshes_move_nothing(visitor: Visitor, replayed: str) -> None:
    visitor.open("verdict", deployment=replayed)
    expect(visitor.page.locator(".decant-chart .legendtext").first).to_be_visible()
    visitor.see("Assessed at")
    visitor.page.evaluate(RECORD)
    for _ in range(REFRESHES):
        assessed_again(visitor)
    layouts = visitor.page.evaluate("() => [...window.decantLayouts]")
    assert len(layouts) == 1, f"the page jumped: {layouts}"
    assert json.loads(layouts[0])["charts"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(open_tab: OpenTab, replayed: str, width: int, scheme) -> None:
    visitor = open_tab(width=width, scheme=scheme)
    visitor.open("verdict", deployment=replayed)
    visitor.expect_charts_to_fit()
    assert visitor.overflow_px() <= 0
    tops = visitor.main.locator(".dv-card").evaluate_all("cards => cards.map((c) => c.getBoundingClientRect())")
    rows = {card["y"]: [c["height"] for c in tops if c["y"] == card["y"]] for card in tops}
    assert all(max(heights) - min(heights) < 1 for heights in rows.values()), "cards beside each other differ in height"


def test_a_form_in_use_survives_refreshes_and_starts_a_test(visitor: Visitor, replayed: str) -> None:
    visitor.open("verdict", deployment=replayed)
    visitor.press("New test …")
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Reason").fill("another look")
    for _ in range(REFRESHES):
        assessed_again(visitor)
    expect(dialog.get_by_role("textbox", name="Reason")).to_have_value("another look")
    dialog.get_by_role("button", name="Start the test").click()
    expect(dialog).to_have_count(0)
    visitor.see("another look")
    expect(visitor.main.locator(".dv-call")).to_contain_text("Keep running")
    visitor.see("No evidence in this test yet")
    visitor.shoot("19-verdict-empty")
