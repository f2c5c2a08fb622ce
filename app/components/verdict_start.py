"""What the Verdict page shows before there is a test, and which test it shows when there are several."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import streamlit as st

from app import format as fmt
from app import state
from app.components import verdict_reads
from app.components.verdict_rule_form import draw_rule_form
from app.guard import escape
from app.links import page_link
from app.state import Param
from services.domain import DeploymentStatus
from services.verdict.rule import ABTest

_TEST = "pick-test"


def draw_no_test(namespace: str, name: str, status: DeploymentStatus | None) -> None:
    """What to do next: add B, or fix the rule and start."""
    where = {Param.DEPLOYMENT: f"{namespace}/{name}"}
    arms = live_arms(status)
    if status is not None and len(arms) < 2:
        with st.container(border=True, key="no-second-arm"):
            st.markdown("##### There is nothing to compare yet")
            st.markdown(f"**{escape(name)}** has one live arm. A test needs a second model: the challenger, B.")
            page_link("deploy", "Add B on the Deploy page", where)
        return
    with st.container(border=True, key="no-test"):
        st.markdown("##### No test has been started")
        st.markdown(
            "A test begins with its rule: what decides, how sure it must be, and what must not get worse. It is fixed "
            "before anybody sees a result, so that the result cannot choose it. The values below are sensible ones."
        )
        draw_rule_form(namespace, name, verdict_reads.proposal(namespace, name), arms, key=f"first-{namespace}-{name}")


def draw_no_evidence(test: ABTest) -> None:
    """The test runs and nothing has come in: the quickest way to evidence."""
    where = {Param.DEPLOYMENT: f"{test.namespace}/{test.deployment}"}
    with st.container(border=True, key="no-evidence"):
        st.markdown("##### No evidence in this test yet")
        st.markdown(
            "The quickest is a **paired replay**: every row of a labelled dataset goes to both arms, and a few hundred "
            "rows often decide. Live traffic counts as well, once rewards come back for it."
        )
        page_link("traffic", "Replay a dataset to both arms", where | {Param.SENDING: "Replay"})


def live_arms(status: DeploymentStatus | None) -> list[str]:
    return [p.name for p in status.deployment.live] if status else []


def choose_test(tests: Sequence[ABTest], zone: tzinfo) -> ABTest:
    """A select box when there are several; the newest unless the URL names another."""
    by_id = {str(test.id): test for test in tests}
    wanted = state.read(Param.TEST)
    chosen = wanted if wanted in by_id else str(tests[0].id)
    if len(tests) > 1:
        st.session_state[_TEST] = chosen
        st.selectbox(
            "Test",
            list(by_id),
            key=_TEST,
            format_func=lambda i: test_label(by_id[i], zone),
            on_change=_picked,
            width=340,
        )
    return by_id[chosen]


def _picked() -> None:
    state.write(Param.TEST, str(st.session_state[_TEST]))


def test_label(test: ABTest, zone: tzinfo) -> str:
    """`Test 3, running since 1 Mar 12:00`. Pure."""
    if test.running:
        return f"Test {test.id}, running since {fmt.clock(test.started_at, zone)}"
    return f"Test {test.id}, ended {fmt.clock(test.ended_at, zone)}"
