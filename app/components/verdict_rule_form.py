"""The form that fixes the rule of a test before it starts. A different rule is a different test."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.reward_picker import draw_reward
from app.guard import boundary, escape
from app.wiring import note, services
from services.verdict.rule import LATENCY_EDGES_MS, Guardrails, Rule


@st.dialog("A new test", width="large")
def ask_for_test(namespace: str, name: str, rule: Rule, arms: Sequence[str]) -> None:
    """The form in a dialog, for a deployment that has a test already."""
    st.caption("The rule of a test never changes. A new one ends the test before it, whose evidence stays to be read.")
    draw_rule_form(namespace, name, rule, arms, key=f"dialog-{namespace}-{name}")


def draw_rule_form(namespace: str, name: str, rule: Rule, arms: Sequence[str], *, key: str) -> None:
    """Fields with `rule` in them; the button starts the test. `arms` are the live ones, if they are known."""
    roles = [rule.champion, rule.challenger]
    names = list(arms) if len(arms) > 1 else roles
    if not set(roles) <= set(names):  # an arm of the earlier test is gone: as in a new deployment
        roles = names[:2]
    left, right = st.columns(2)
    champion = left.selectbox(
        "A, the arm in charge (champion)", names, index=names.index(roles[0]), key=f"{key}-champion"
    )
    challenger = right.selectbox(
        "B, the arm that wants the job (challenger)",
        names,
        index=names.index(roles[1]),
        key=f"{key}-challenger",
    )
    reward = draw_reward(rule.reward, key=f"{key}-reward")
    if reward.warning:
        st.warning(escape(reward.warning), icon=":material/warning:")
    else:
        st.caption(f"The metric that decides: the mean of {escape(reward.formula)} for truth y and prediction f.")
    alpha_box, effect_box, pairs_box, live_box = st.columns(4)
    alpha = alpha_box.number_input(
        "Alpha",
        0.001,
        0.2,
        rule.alpha,
        step=0.01,
        format="%g",
        key=f"{key}-alpha",
        help="The chance of ever naming a difference that is not there, however often somebody looks.",
    )
    effect = effect_box.number_input(
        "Minimum effect",
        0.0,
        value=rule.minimum_effect,
        step=0.001,
        format="%g",
        key=f"{key}-effect",
        help="The smallest difference of the mean reward that is worth shipping; 0 for any.",
    )
    pairs = pairs_box.number_input(
        "Planned rows, replay",
        100,
        value=rule.planned_pairs,
        step=100,
        key=f"{key}-pairs",
        help="Rows of paired replay at which the interval is to be tightest. More or fewer are fine.",
    )
    live = live_box.number_input(
        "Planned rewards, live",
        100,
        value=rule.planned_live,
        step=1000,
        key=f"{key}-live",
        help="Live rewards of both arms together at which the interval is to be tightest.",
    )
    rails = _draw_guardrails(rule.guardrails, key)
    why = st.text_input("Reason", key=f"{key}-why", placeholder="what the test is to find out", max_chars=500)
    if not st.button("Start the test", type="primary", icon=":material/flag:", key=f"{key}-start"):
        return
    if not why.strip():
        st.warning("**Give a reason:** whoever reads the verdict later wants to know it.", icon=":material/edit:")
        return
    with boundary("The test"):
        wanted = Rule(champion, challenger, reward, alpha, effect, int(pairs), int(live), rails).validated()
        started = services().verdicts.start(namespace, name, wanted, note=note(why))
        reads.forget()
        state.write(state.Param.TEST, None)
        st.toast(f"Test {started.id} has begun.", icon=":material/flag:")
        st.rerun()


def _draw_guardrails(rails: Guardrails, key: str) -> Guardrails:
    errors_box, slow_box, share_box = st.columns(3)
    errors = errors_box.number_input(
        "Errors: at most … points more",
        0.0,
        100.0,
        100 * rails.error_increase,
        step=0.5,
        format="%g",
        key=f"{key}-errors",
        help="By how many percentage points B's share of failed predictions may exceed A's.",
    )
    slow_ms = slow_box.selectbox(
        "Slow is longer than",
        LATENCY_EDGES_MS,
        index=LATENCY_EDGES_MS.index(int(rails.slow_ms)) if rails.slow_ms in LATENCY_EDGES_MS else 0,
        format_func=fmt.latency,
        key=f"{key}-slow-ms",
    )
    slow = share_box.number_input(
        "Slow: at most … points more",
        0.0,
        100.0,
        100 * rails.slow_increase,
        step=0.5,
        format="%g",
        key=f"{key}-slow",
        help="By how many percentage points B's share of slow predictions may exceed A's.",
    )
    return Guardrails(errors / 100, slow_ms, slow / 100)
