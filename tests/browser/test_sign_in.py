"""Signing in with a real browser at a real provider: who is who, who may what, and what is refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from app import asked
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.settings import Settings
from tests.browser.conftest import CALL, keep
from tests.support.browser import HEIGHT, PAGES, WIDE, Visitor
from tests.support.dashboard_process import dashboard
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.support.waiting import wait_until

ADA, VERA = "ada@example.com", "vera@example.com"
HARMLESS = {"Sign out", "Newer", "Older", "Untick all", "Back to the default", "Show the run"}
COOKIE, ASKED = "_streamlit_user", asked.COOKIE

Tab = Callable[..., Visitor]


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    served = OidcProvider().start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, provider: OidcProvider) -> Iterator[Settings]:
    """A dashboard that signs people in: Ada is a lead by name, everybody else a viewer."""
    values = {
        "sign_in": "oidc",
        "leads": ADA,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
    }
    with dashboard(tmp_path_factory.mktemp("signed"), values, "tests.support.signed_dashboard") as settings:
        yield settings


@pytest.fixture(scope="module")
def history(signed: Settings) -> EvidenceStore:
    """What the dashboard has written down, read by somebody else."""
    return EvidenceStore(open_database(signed.store_url))


@pytest.fixture
def tab(request: pytest.FixtureRequest, signed: Settings, chromium: Browser) -> Iterator[Tab]:
    """Open a tab in a browser of its own, with cookies if given."""
    visitors: list[Visitor] = []
    shots = os.environ.get("DECANT_SHOTS")

    def open_one(
        *, width: int = WIDE, scheme: Literal["light", "dark"] = "light", cookies: list[Any] | None = None
    ) -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, locale="en-GB")
        if cookies:
            context.add_cookies(cookies)
        address = signed.dashboard_url.rstrip("/")
        visitors.append(Visitor(context.new_page(), address, shots=Path(shots) if shots else None))
        return visitors[-1]

    yield open_one
    trouble = [text for one in visitors for text in one.trouble]
    for number, one in enumerate(visitors, 1):
        if trouble or request.node.stash.get(CALL, False):
            keep(one, f"{request.node.name}-{number}")
        one.page.context.close()
    assert not trouble, "the pages showed what nobody should see:\n" + "\n".join(dict.fromkeys(trouble))


def expect_door(visitor: Visitor) -> None:
    expect(visitor.main.get_by_role("button", name="Sign in")).to_be_visible()
    expect(visitor.page.get_by_test_id("stTopNavLinkContainer")).to_have_count(0)
    assert "wine" not in visitor.main.inner_text()


def sign_in(visitor: Visitor, who: str) -> None:
    visitor.page.goto(visitor.address)
    expect_door(visitor)
    through_the_provider(visitor, who)
    visitor.expect_page("overview")


def through_the_provider(visitor: Visitor, who: str) -> None:
    """From the door to whatever page comes then."""
    visitor.main.get_by_role("button", name="Sign in").click()
    visitor.page.get_by_label("E-mail").fill(who)
    visitor.page.get_by_role("button", name="Go on").click()


def names_of_cookies(visitor: Visitor) -> set[str]:
    return {str(cookie.get("name")) for cookie in visitor.page.context.cookies()}


def sign_out(visitor: Visitor) -> None:
    visitor.main.get_by_role("button", name="Sign out").click()
    expect_door(visitor)


def buttons(visitor: Visitor) -> set[str]:
    """The words on all buttons of the page that call Decant."""
    found = visitor.main.locator("[data-testid=stButton], [data-testid=stFormSubmitButton]")
    return {text.strip() for text in found.locator("[data-testid=stMarkdownContainer]").all_inner_texts()}


def test_a_lead_moves_a_split_under_their_own_name(tab: Tab, history: EvidenceStore) -> None:
    visitor = tab()
    visitor.page.goto(visitor.address)
    expect_door(visitor)
    visitor.shoot("sign-in-door")
    sign_in(visitor, ADA)
    visitor.see(f"{ADA} · lead")
    visitor.shoot("sign-in-name")
    visitor.open("deploy", deployment="seldon/wine")
    slider = visitor.main.get_by_role("slider", name="Share of b")
    slider.press("ArrowRight")
    visitor.settle()
    visitor.press("Move traffic")
    change = wait_until(lambda: next((c for c in history.changes() if c.what == "split"), None), what="the change")
    assert change.who == ADA
    visitor.open("deploy", deployment="seldon/wine")
    assert ADA in visitor.main.inner_text()


def test_a_viewer_sees_no_button_that_changes_anything_and_no_link_changes_anything(
    tab: Tab, history: EvidenceStore
) -> None:
    visitor = tab()
    sign_in(visitor, VERA)
    visitor.see(f"{VERA} · viewer")
    before = len(history.changes())
    for page in PAGES:
        for more in ({}, {"sending": "Replay"}, {"sending": "Late truth"}, {"runs-view": "Train"}):
            if more and page not in ("traffic", "runs"):
                continue
            visitor.open(page, deployment="seldon/wine", guide="1", a="models:/x", b="models:/y", **more)
            visitor.see(f"{VERA} · viewer")
            assert buttons(visitor) <= HARMLESS, f"{page}: a viewer can press {buttons(visitor) - HARMLESS}"
            expect(visitor.main.get_by_test_id("stFileUploader")).to_have_count(0)
    assert len(history.changes()) == before


def test_signing_in_leads_to_the_page_that_was_asked_for_and_only_once(tab: Tab) -> None:
    visitor = tab()
    visitor.page.goto(f"{visitor.address}/deploy?deployment=seldon%2Fwine&b=models%3A%2Fx%2F3&next=//evil.example")
    expect_door(visitor)
    through_the_provider(visitor, ADA)
    visitor.expect_page("deploy")
    expect(visitor.page).to_have_url(f"{visitor.address}/deploy?deployment=seldon%2Fwine&b=models%3A%2Fx%2F3")
    visitor.see(f"{ADA} · lead")
    wait_until(lambda: ASKED not in names_of_cookies(visitor), what="the cookie to be gone")
    visitor.open("overview")
    visitor.open("overview", deployment="seldon/wine")
    sign_out(visitor)
    sign_in(visitor, VERA)  # who asks for the front page gets it


def test_what_a_stranger_wrote_into_the_cookie_leads_nowhere(tab: Tab) -> None:
    forged = {"name": ASKED, "value": "https%3A%2F%2Fevil.example%2F%3F", "path": "/", "domain": "127.0.0.1"}
    honest = tab()
    sign_in(honest, VERA)
    visitor = tab(cookies=[*honest.page.context.cookies(), forged])
    visitor.open("overview")
    assert visitor.page.url.startswith(visitor.address)
    visitor.see(f"{VERA} · viewer")


def test_two_browsers_at_once_keep_their_persons(tab: Tab) -> None:
    lead, viewer = tab(), tab()
    sign_in(lead, ADA)
    sign_in(viewer, VERA)
    for _ in range(2):
        for visitor, line, moves in ((lead, f"{ADA} · lead", 1), (viewer, f"{VERA} · viewer", 0)):
            visitor.open("deploy", deployment="seldon/wine")
            visitor.see(line)
            expect(visitor.main.get_by_role("button", name="Move traffic")).to_have_count(moves)


def test_signing_out_closes_the_door_also_for_a_copy_of_the_cookie(tab: Tab) -> None:
    visitor = tab()
    sign_in(visitor, ADA)
    cookies = visitor.page.context.cookies()
    sign_out(visitor)
    assert COOKIE not in {cookie["name"] for cookie in visitor.page.context.cookies()}
    visitor.page.goto(f"{visitor.address}/deploy?deployment=seldon/wine")
    expect_door(visitor)
    copied = tab(cookies=cookies)
    copied.page.goto(copied.address)
    expect_door(copied)
    sign_in(visitor, VERA)  # another account, in the same browser
    visitor.see(f"{VERA} · viewer")


def test_a_provider_that_is_down_gives_words_and_lets_in_once_it_is_back(tab: Tab, provider: OidcProvider) -> None:
    visitor = tab()
    visitor.page.goto(visitor.address)
    with provider.away():
        visitor.main.get_by_role("button", name="Sign in").click()
        visitor.alert("The identity provider")
        visitor.shoot("sign-in-provider-down")
        assert visitor.page.url.startswith(visitor.address)
    sign_in(visitor, VERA)


def altered(value: str) -> str:
    """The same signature, another content: one letter in the middle of what is signed."""
    signed, signature = value.strip('"').rsplit(".", 1)
    at = len(signed) // 2
    return f"{signed[:at]}{'A' if signed[at] != 'A' else 'B'}{signed[at + 1 :]}.{signature}"


@pytest.mark.parametrize("forgery", ["altered", "signed with another secret"])
def test_a_cookie_that_this_dashboard_did_not_sign_lets_nobody_in(tab: Tab, forgery: str) -> None:
    honest = tab()
    sign_in(honest, ADA)
    cookies = honest.page.context.cookies()
    (real,) = [cookie for cookie in cookies if cookie["name"] == COOKIE]
    same = tab(cookies=[dict(real)])
    same.page.goto(same.address)
    same.see(f"{ADA} · lead")  # the cookie is what lets in, so what follows means something
    claims = {"email": ADA, "is_logged_in": True, "iat": int(time.time()), "origin": honest.address}
    value = (
        altered(real["value"])
        if forgery == "altered"
        else create_signed_value("guessed", COOKIE, json.dumps(claims)).decode("latin-1")
    )
    forged = tab(cookies=[{**real, "value": value}])
    forged.page.goto(f"{forged.address}/deploy?deployment=seldon/wine")
    expect_door(forged)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, 800])
def test_the_door_and_the_line_with_the_name_fit_the_window(
    tab: Tab, width: int, scheme: Literal["light", "dark"]
) -> None:
    visitor = tab(width=width, scheme=scheme)
    visitor.page.goto(visitor.address)
    expect_door(visitor)
    visitor.settle()
    assert visitor.overflow_px() <= 0
    sign_in(visitor, ADA)
    visitor.see(f"{ADA} · lead")
    assert visitor.overflow_px() <= 0
