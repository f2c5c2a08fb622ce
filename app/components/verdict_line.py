"""The verdict in one line, in letters that a projector shows; below it why, and by which rule."""

from __future__ import annotations

from datetime import tzinfo
from html import escape

import streamlit as st

from app import format as fmt
from app.components.verdict_style import STYLE, call_color
from app.guard import escape as plain
from services.verdict import figures, words
from services.verdict.model import Assessment


def draw_verdict_line(assessment: Assessment, zone: tzinfo) -> None:
    st.html(STYLE + line_html(assessment, call_color(assessment.call)))
    st.caption(rule_line(assessment, zone))
    for said in assessment.test.read_as:
        st.caption(f":material/history: {plain(said)}")


def line_html(assessment: Assessment, color: str) -> str:
    """Call, reason and the rule that fired. Pure."""
    mark = words.CALL_MARKS[assessment.call]
    return (
        f'<div class="dv-line" style="--dv:{color}"><div class="dv-call">'
        f'<span class="dv-mark" aria-hidden="true">{mark}</span>'
        f"<span>{escape(assessment.call.value)}</span></div>"
        f'<div class="dv-why">{escape(words.reason(assessment))}</div>'
        f'<div class="dv-quiet">{escape(assessment.fired)}</div></div>'
    )


def rule_line(assessment: Assessment, zone: tzinfo) -> str:
    """The rule of the test in one line of Markdown, with who fixed it when and why. Pure."""
    test, rule = assessment.test, assessment.test.rule
    rails = rule.guardrails
    minimum = f"minimum effect {fmt.number(rule.minimum_effect, 4)}" if rule.minimum_effect else "no minimum effect"
    facts = (
        f"mean of {rule.reward.formula}",
        f"decided by {words.DECIDES[rule.decides]}",
        f"live traffic read from the {words.PLACES[rule.live_source]}",
        f"alpha {rule.alpha:g}",
        minimum,
        f"planned {fmt.count(rule.planned_pairs)} rows of replay, {fmt.count(rule.planned_live)} live rewards",
        f"errors at most {figures.change(rails.error_increase, 'share')}",
        f"slower than {fmt.latency(rails.slow_ms)} at most {figures.change(rails.slow_increase, 'share')}",
    )
    since = f"fixed {fmt.moment(test.started_at, zone)} by {test.who}" + (f": {test.why}" if test.why else "")
    over = ""
    if test.ended_at:
        over = f" · ended {fmt.moment(test.ended_at, zone)}: {test.ended_why or 'no reason given'}"
    if back := assessment.undone:
        over += f" · undone {fmt.moment(back.at, zone)} by {back.who}" + (f": {back.why}" if back.why else "")
    told = " · ".join(plain(fact) for fact in (*facts, since))
    return f"**Rule of test {test.id}:** {told}{plain(over)}"
