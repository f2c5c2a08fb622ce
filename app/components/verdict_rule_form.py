"""The form that fixes the rule of a test before it starts. A different rule is a different test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import format as fmt
from app import reads, state
from app.components import dialogs
from app.components.reward_picker import draw_any_reward
from app.components.rights import leads_only
from app.guard import boundary, escape
from app.wiring import note, services
from services.traffic.rewards import Reward
from services.verdict import words
from services.verdict.rule import LATENCY_EDGES_MS, Decides, Guardrails, LiveFrom, Rule, usual_live_from


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the rule, as a field: bounds and step are whole where it is."""

    key: str
    label: str
    help: str
    read: Callable[[Rule], float]
    low: float
    high: float | None
    step: float


NUMBERS = {
    field.key: field
    for field in (
        Number(
            "alpha",
            "Alpha",
            "The chance of ever naming a difference that is not there, however often somebody looks.",
            lambda rule: rule.alpha,
            0.001,
            0.2,
            0.01,
        ),
        Number(
            "effect",
            "Minimum effect",
            "The smallest difference of the mean reward that is worth shipping; 0 for any.",
            lambda rule: rule.minimum_effect,
            0.0,
            None,
            0.001,
        ),
        Number(
            "pairs",
            "Planned rows, replay",
            "Rows of paired replay at which the interval is to be tightest. More or fewer are fine.",
            lambda rule: rule.planned_pairs,
            100,
            None,
            100,
        ),
        Number(
            "live",
            "Planned rewards, live",
            "Live rewards of both arms together at which the interval is to be tightest.",
            lambda rule: rule.planned_live,
            100,
            None,
            1000,
        ),
        Number(
            "errors",
            "Errors: at most … points more",
            "By how many percentage points B's share of failed predictions may exceed A's.",
            lambda rule: 100 * rule.guardrails.error_increase,
            0.0,
            100.0,
            0.5,
        ),
        Number(
            "slow",
            "Slow: at most … points more",
            "By how many percentage points B's share of slow predictions may exceed A's.",
            lambda rule: 100 * rule.guardrails.slow_increase,
            0.0,
            100.0,
            0.5,
        ),
    )
}
DECIDES_HELP = (
    "The source that names the winner. The other one is shown too and can object, but not decide: who takes the one "
    "that speaks first errs up to twice as often. Either, each at half of alpha, suits a test that begins with live "
    "traffic and may get a replay later."
)
LIVE_FROM_HELP = (
    "Fixed with the rule: a test that took first the one and then the other would have two chances to err. The other "
    "is shown for information while this one has no interval."
)


def ask_for_test(namespace: str, name: str, rule: Rule, arms: Sequence[str]) -> None:
    """The form in a dialog, for a deployment that has a test already."""
    dialogs.show("A new test", lambda: _ask(namespace, name, rule, arms), width="large")


def _ask(namespace: str, name: str, rule: Rule, arms: Sequence[str]) -> None:
    st.caption("The rule of a test never changes. A new one ends the test before it, whose evidence stays to be read.")
    draw_rule_form(namespace, name, rule, arms, key=f"dialog-{namespace}-{name}")


def draw_rule_form(namespace: str, name: str, rule: Rule, arms: Sequence[str], *, key: str) -> None:
    """Fields with `rule` in them; the button starts the test. `arms` are the live ones, if they are known."""
    if not leads_only("Starting a test"):
        return
    champion, challenger = _draw_roles([rule.champion, rule.challenger], arms, key)
    chosen = draw_any_reward(rule.reward, key=f"{key}-reward")
    reward = chosen or rule.reward
    if reward.warning:
        st.warning(escape(reward.warning), icon=":material/warning:")
    else:
        st.caption(f"The metric that decides: the mean of {escape(reward.formula)} for truth y and prediction f.")
    decides: Decides | None = st.radio(
        "Decided by",
        list(Decides),
        index=list(Decides).index(rule.decides),
        format_func=lambda source: words.DECIDES[source].capitalize(),
        horizontal=True,
        key=f"{key}-decides",
        help=DECIDES_HELP,
    )
    live_from = _draw_live_from(rule, reward, key)
    boxes = st.columns(4)
    alpha, effect, pairs, live = (
        _draw_number(box, name, rule, key)
        for box, name in zip(boxes, ("alpha", "effect", "pairs", "live"), strict=True)
    )
    rails = _draw_guardrails(rule, key)
    why = st.text_input("Reason", key=f"{key}-why", placeholder="what the test is to find out", max_chars=500)
    off = chosen is None  # a formula that cannot be read
    if not st.button("Start the test", type="primary", icon=":material/flag:", key=f"{key}-start", disabled=off):
        return
    if not why.strip():
        st.warning("**Give a reason:** whoever reads the verdict later wants to know it.", icon=":material/edit:")
        return
    decided = decides or rule.decides
    with boundary("The test"):
        wanted = Rule(champion, challenger, reward, alpha, effect, int(pairs), int(live), rails, decided, live_from)
        started = services().verdicts.start(namespace, name, wanted.validated(), note=note(why))
        reads.forget()
        state.write(state.Param.TEST, None)
        st.toast(f"Test {started.id} has begun.", icon=":material/flag:")
        dialogs.close()


def _draw_roles(roles: list[str], arms: Sequence[str], key: str) -> tuple[str, str]:
    names = list(arms) if len(arms) > 1 else roles
    if not set(roles) <= set(names):  # an arm of the earlier test is gone: as in a new deployment
        roles = names[:2]
    left, right = st.columns(2)
    return (
        left.selectbox("A, the arm in charge (champion)", names, index=names.index(roles[0]), key=f"{key}-champion"),
        right.selectbox(
            "B, the arm that wants the job (challenger)", names, index=names.index(roles[1]), key=f"{key}-challenger"
        ),
    )


def _draw_live_from(rule: Rule, reward: Reward, key: str) -> LiveFrom:
    """Where live traffic is read: only the ledger for a reward that no counter takes."""
    usual = rule.live_source if reward == rule.reward else usual_live_from(reward)
    places = list(LiveFrom) if reward.counted else [LiveFrom.LEDGER]
    chosen: LiveFrom | None = st.radio(
        "Live traffic is read from",
        places,
        index=places.index(usual),
        format_func=lambda place: f"The {words.PLACES[place]}: {words.SEES[place]}",
        horizontal=True,
        key=f"{key}-live-from-{usual}-{len(places)}",
        help=LIVE_FROM_HELP,
    )
    return chosen or usual


def _draw_number(box: DeltaGenerator, field: str, rule: Rule, key: str) -> float:
    asked = NUMBERS[field]
    return box.number_input(
        asked.label,
        asked.low,
        asked.high,
        asked.read(rule),
        step=asked.step,
        format="%g" if isinstance(asked.step, float) else None,
        key=f"{key}-{asked.key}",
        help=asked.help,
    )


def _draw_guardrails(rule: Rule, key: str) -> Guardrails:
    errors_box, slow_box, share_box = st.columns(3)
    errors = _draw_number(errors_box, "errors", rule, key)
    slow_ms = slow_box.selectbox(
        "Slow is longer than",
        LATENCY_EDGES_MS,
        index=LATENCY_EDGES_MS.index(int(rule.guardrails.slow_ms)),
        format_func=fmt.latency,
        key=f"{key}-slow-ms",
    )
    slow = _draw_number(share_box, "slow", rule, key)
    return Guardrails(errors / 100, slow_ms, slow / 100)
