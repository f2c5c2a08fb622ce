"""Signed in or not, lead or viewer: what the pages show, and what no page, link or click of a viewer can change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from app import asked, signed_out
from services.domain import ChangeNote, Phase
from services.traffic.rewards import Reward, RewardKind
from services.verdict.rule import Rule
from tests.apptest.conftest import MAIN, TIMEOUT_S, Dashboard, texts
from tests.support.browser import PAGES
from tests.support.runs import Seeded

ADA, VERA = "ada@example.com", "vera@example.com"
HARMLESS = {"Sign out", "Newer", "Older", "Untick all", "Back to the default", "Show the run"}
"""Buttons that a viewer may have: they change the page, and nothing else."""

Visit = Callable[..., AppTest]


def claims(name: str | None, **more: Any) -> dict[str, Any]:
    issued = {"iat": int(time.time()) - 60, "nonce": f"{name}-{time.time_ns()}"}
    return {"is_logged_in": True, **issued, **({"email": name} if name else {}), **more}


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the browser sends; AppTest has no browser of its own."""
    sent: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: sent))
    return sent


@pytest.fixture
def visit(dashboard: Dashboard, cookies: dict[str, str]) -> Visit:
    """Open a page as somebody: `visit("deploy", VERA)`; None for nobody. Ada is a lead, everybody else a viewer."""
    dashboard.use(settings=dashboard.services.settings.model_copy(update={"sign_in": "oidc", "leads": ADA}))

    def open_as(page: str, who: str | dict[str, Any] | None, **query: str) -> AppTest:
        app = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S)
        app.user = {"is_logged_in": False} if who is None else claims(who) if isinstance(who, str) else who
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        if (page != "overview" and texts(app).count("Sign out")) or page != "overview":
            app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception
        return app

    return open_as


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


@pytest.mark.parametrize("page", PAGES)
def test_whoever_is_not_signed_in_sees_the_door_and_nothing_behind_it(
    dashboard: Dashboard, visit: Visit, page: str
) -> None:
    dashboard.deploy("secret-project")
    app = visit(page, None, deployment="seldon/secret-project")
    assert labels(app) == {"Sign in"}
    assert "secret-project" not in texts(app)
    assert [title.value for title in app.title] == ["Decant"]


@pytest.mark.parametrize(
    ("who", "words", "button"),
    [
        (claims(None), "carries no e-mail address", "Sign out and choose another account"),
        (claims(VERA, email_verified=False), "has not verified", "Sign out and choose another account"),
        (claims("eve@elsewhere.org"), "eve@elsewhere.org is not invited", "Sign out and choose another account"),
        (claims(ADA) | {"iat": int(time.time()) - 13 * 3600}, "Your sign-in has ended", "Sign in"),
        ({"email": ADA}, "started without what it needs", None),  # a Streamlit that nobody told of the provider
    ],
)
def test_whoever_may_not_come_in_is_told_why(
    dashboard: Dashboard, visit: Visit, who: dict[str, Any], words: str, button: str | None
) -> None:
    invited = dashboard.services.settings.model_copy(update={"viewers": f"{VERA}, nobody@example.com"})
    dashboard.use(settings=invited)
    app = visit("overview", who)
    assert words in texts(app)
    assert labels(app) == ({button} if button else set())


def test_names_from_a_provider_are_shown_as_text(visit: Visit) -> None:
    app = visit("overview", claims("<b>*x*</b>@example.com"))
    assert [text.value for text in app.text] == ["<b>*x*</b>@example.com · viewer"]


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_everything_and_no_button_that_changes_anything(
    seeded: Seeded, dashboard: Dashboard, visit: Visit, page: str
) -> None:
    dashboard.deploy()
    rule = Rule("a", "b", Reward(RewardKind.BOUNDED))
    dashboard.services.verdicts.start("seldon", "wine", rule, note=ChangeNote("ann", "a test"))
    dashboard.deploy("gone")
    dashboard.services.operations.delete("seldon", "gone", note=ChangeNote("ann", "of late"))
    runs = ",".join(run for run in list(vars(seeded).values()) if isinstance(run, str))
    deep = {"deployment": "seldon/wine", "runs": runs, "a": "models:/x", "b": "models:/y", "guide": "1"}
    for more in ({}, {"sending": "Replay"}, {"sending": "Late truth"}, {"runs-view": "Train"}):
        app = visit(page, VERA, **deep, **more)
        assert labels(app) <= HARMLESS, f"a viewer can press {labels(app) - HARMLESS}"
        assert not app.file_uploader
        assert f"{VERA} · viewer" in texts(app)
    lead = visit(page, ADA, **deep)
    assert f"{ADA} · lead" in texts(lead)
    assert len(labels(lead)) >= len(labels(app))


@pytest.mark.parametrize(
    ("page", "query", "line"),
    [
        ("deploy", {"deployment": "seldon/wine"}, "Moving traffic is for leads"),
        ("deploy", {}, "Deploying models is for leads"),
        ("traffic", {}, "Sending requests is for leads"),
        ("traffic", {"sending": "Replay"}, "Sending replays is for leads"),
        ("traffic", {"sending": "Late truth"}, "Attaching truths is for leads"),
        ("runs", {"runs-view": "Train"}, "Training models is for leads"),
    ],
)
def test_where_a_form_would_be_a_line_says_why_there_is_none(
    dashboard: Dashboard, visit: Visit, page: str, query: dict[str, str], line: str
) -> None:
    if query or page == "traffic":
        dashboard.deploy()
    assert line in texts(visit(page, VERA, **query))
    assert line not in texts(visit(page, ADA, **query))


def test_more_time_for_a_start_is_for_leads(dashboard: Dashboard, visit: Visit) -> None:
    dashboard.deploy()
    dashboard.engine.phases["seldon", "wine", "b"] = (Phase.FAILED, "its model was not loaded within 120 s")
    assert any(label.startswith("Give it") for label in labels(visit("deploy", ADA, deployment="seldon/wine")))
    viewer = visit("deploy", VERA, deployment="seldon/wine")
    assert "does not start" in texts(viewer)
    assert labels(viewer) <= HARMLESS


def test_a_change_is_written_down_under_the_name_of_whoever_made_it(dashboard: Dashboard, visit: Visit) -> None:
    dashboard.deploy()
    app = visit("deploy", ADA, deployment="seldon/wine")
    app.slider[0].set_value(50).run()
    next(button for button in app.button if button.label == "Move traffic").click().run()
    change = dashboard.services.store.changes()[0]
    assert (change.who, change.what) == (ADA, "split")


def test_two_sessions_keep_their_persons_and_share_what_they_read(dashboard: Dashboard, visit: Visit) -> None:
    dashboard.deploy()
    lead, viewer = visit("deploy", ADA, deployment="seldon/wine"), visit("deploy", VERA, deployment="seldon/wine")
    for _ in range(2):
        lead.run()
        viewer.run()
        assert f"{ADA} · lead" in texts(lead)
        assert f"{VERA} · viewer" in texts(viewer)
        assert "Move traffic" in labels(lead)
        assert "Move traffic" not in labels(viewer)


def test_a_role_that_is_taken_away_is_gone_with_the_next_click(dashboard: Dashboard, visit: Visit) -> None:
    """The session of a lead is open; the button that it still shows does nothing any more."""
    dashboard.deploy()
    app = visit("deploy", ADA, deployment="seldon/wine")
    app.slider[0].set_value(50).run()
    dashboard.use(settings=dashboard.services.settings.model_copy(update={"leads": ""}))
    next(button for button in app.button if button.label == "Move traffic").click().run()
    assert dashboard.engine.get("seldon", "wine").requested.as_dict() == {"a": 80, "b": 20}
    assert f"{ADA} · viewer" in texts(app)


def test_a_sign_in_that_ends_closes_the_page_that_is_open(dashboard: Dashboard, visit: Visit) -> None:
    dashboard.deploy()
    app = visit("monitor", ADA, deployment="seldon/wine")
    app.user = claims(ADA) | {"iat": int(time.time()) - 13 * 3600}
    app.run()
    assert labels(app) == {"Sign in"}
    assert "wine" not in texts(app)


def test_signing_out_ends_the_other_tabs_of_that_sign_in_and_no_other(visit: Visit) -> None:
    here, there = claims(ADA), claims(ADA)
    tab = visit("overview", here)
    next(button for button in tab.button if button.label == "Sign out").click().run()
    assert signed_out.holds(here)
    assert labels(visit("overview", here)) == {"Sign in"}
    assert "Sign out" in labels(visit("overview", there))


def test_without_sign_in_nobody_is_asked_and_nothing_is_shown_of_it(dashboard: Dashboard) -> None:
    dashboard.deploy()
    app = dashboard.open("deploy", deployment="seldon/wine")
    assert "Move traffic" in labels(app)
    assert not labels(app) & {"Sign in", "Sign out"}


@pytest.mark.parametrize("address", ["0.0.0.0", ""])
def test_a_streamlit_that_listens_to_the_network_shows_no_page(dashboard: Dashboard, address: str) -> None:
    """As `streamlit run app/main.py --server.address 0.0.0.0` would start it."""
    dashboard.deploy("secret-project")
    config.get_config_options(force_reparse=True, options_from_flags={"server.address": address})
    try:
        app = dashboard.open("overview")
        open_to_all = dashboard.services.settings.model_copy(update={"allow_without_sign_in": True})
        dashboard.use(settings=open_to_all)
        allowed = dashboard.open("overview")
    finally:
        config.get_config_options(force_reparse=True, options_from_flags={})
    assert "nobody has to sign in" in texts(app)
    assert not app.button
    assert "secret-project" not in texts(app)
    assert "secret-project" in texts(allowed)


def test_the_health_check_of_streamlit_is_nobody(visit: Visit, dashboard: Dashboard) -> None:
    """It runs the script as test@example.com, without having signed in."""
    dashboard.use(settings=dashboard.services.settings.model_copy(update={"leads": "*"}))
    app = visit("overview", {"email": "test@example.com", "is_logged_in": False})
    assert labels(app) == {"Sign in"}


@pytest.mark.parametrize(
    ("cookie", "title", "deployment"),
    [
        (asked.packed("deploy", {"deployment": "seldon/wine"}), "Deploy", "seldon/wine"),
        (asked.packed("", {"deployment": "seldon/wine"}), "Overview", "seldon/wine"),
        (asked.packed("no-such-page", {}), "Overview", None),
        ("https%3A%2F%2Fevil.example%3F", "Overview", None),
        ("deploy%3Fcolour%3Dred", "Deploy", None),
        ("%%%", "Overview", None),
    ],
)
def test_signing_in_leads_to_the_page_that_was_asked_for_if_it_is_one_of_ours(
    dashboard: Dashboard, visit: Visit, cookies: dict[str, str], cookie: str, title: str, deployment: str | None
) -> None:
    dashboard.deploy("wine")
    cookies[asked.COOKIE] = cookie
    app = visit("overview", VERA)
    assert app.title[0].value == title
    assert "colour" not in app.query_params
    if deployment:
        assert app.query_params["deployment"] == deployment
    if title != "Overview":
        app.switch_page("../pages/overview.py").run()
        assert app.title[0].value == "Overview", "it leads on once"


def test_a_link_that_was_followed_meanwhile_is_not_left(visit: Visit, cookies: dict[str, str]) -> None:
    cookies[asked.COOKIE] = asked.packed("runs", {})
    assert visit("overview", VERA, window="1h").title[0].value == "Overview"
