"""How the pages look and behave on different screens: nothing sticks out, nothing jumps, nothing breaks."""

from __future__ import annotations

import json
import re
from typing import Literal

import pytest
from playwright.sync_api import expect

from services.domain import DeploymentStatus
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.browser.conftest import OpenTab
from tests.support.browser import HEIGHT, NARROW, PAGES, RECORD, WIDE, Visitor
from tests.support.system import System

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("ab_test")]

VIEWS = (
    ("overview", {"guide": "1"}),
    ("runs", {}),
    ("runs", {"runs-view": "Train"}),
    ("deploy", {}),
    ("traffic", {}),
    ("traffic", {"sending": "Replay"}),
    ("traffic", {"sending": "Late truth"}),
    ("monitor", {"window": "15m"}),
    ("verdict", {}),
)
REFRESHES = 3


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_its_screen(open_tab: OpenTab, width: int, scheme: Literal["light", "dark"]) -> None:
    visitor = open_tab(width=width, scheme=scheme)
    for page, query in VIEWS:
        visitor.open(page, **query)
        assert visitor.overflow_px() <= 0, f"{page} {query} is wider than {width} px"
        assert visitor.faint_texts() == [], f"{page} {query} in {scheme}"
    background = visitor.page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    dark = max(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) < 128
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("width", [NARROW, 1024])
def test_the_header_has_all_pages(open_tab: OpenTab, width: int) -> None:
    visitor = open_tab(width=width)
    visitor.open("overview")
    shown = visitor.page.get_by_test_id("stTopNav").get_by_test_id("stTopNavLinkContainer").filter(visible=True)
    expect(shown).to_have_text([re.compile(f"{page.capitalize()}$") for page in PAGES])  # an icon's name is before it
    expect(visitor.page.get_by_text(" more", exact=False).filter(visible=True)).to_have_count(0)


def test_monitor_refreshes_without_a_jump(visitor: Visitor, decant: System, ab_test: DeploymentStatus) -> None:
    spec = ReplaySpec(
        namespace=ab_test.deployment.namespace,
        deployment=ab_test.deployment.name,
        dataset="wine-quality",
        target="quality",
        reward=Reward(RewardKind.BOUNDED),
        rows=2000,
        rate=60,
    )
    replay = decant.services.replays.submit(spec, who="ann")  # so that every refresh brings other numbers
    visitor.open("monitor", window="1h")  # in which no change grows too old to be listed meanwhile
    expect(visitor.page.locator(".decant-chart .legendtext").first).to_be_visible()
    visitor.see("Read at")

    visitor.page.evaluate(RECORD)
    for _ in range(REFRESHES):
        read_at = visitor.main.get_by_text("Read at")
        expect(read_at).not_to_have_text(read_at.inner_text())

    layouts = visitor.page.evaluate("() => [...window.decantLayouts]")
    decant.services.replays.cancel(replay.id)
    assert len(layouts) == 1, f"the page jumped: {layouts}"
    assert len(json.loads(layouts[0])["charts"]) == 4


def test_charts_follow_the_window(visitor: Visitor) -> None:
    visitor.open("monitor")
    visitor.expect_charts_to_fit()
    for width in (NARROW, WIDE):
        visitor.page.set_viewport_size({"width": width, "height": HEIGHT})
        visitor.expect_charts_to_fit()
        assert visitor.overflow_px() <= 0


def test_a_link_carries_what_is_selected(open_tab: OpenTab, ab_test: DeploymentStatus) -> None:
    key = ab_test.deployment.key
    sender = open_tab()
    sender.open("monitor", window="1h")
    expect(sender.page).to_have_url(f"{sender.address}/monitor?window=1h&deployment={key.replace('/', '%2F')}")
    receiver = open_tab()
    receiver.page.goto(sender.page.url)
    receiver.expect_page("monitor")
    chosen = receiver.page.get_by_test_id("stButtonGroup").get_by_role("radio", checked=True)
    expect(chosen.first).to_have_text("1 h")
