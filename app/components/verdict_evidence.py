"""The two strands of evidence beside each other, kept apart: paired replay and live traffic."""

from __future__ import annotations

from datetime import tzinfo

import streamlit as st

from app import format as fmt
from app.components.verdict_chart import draw_difference
from app.guard import boundary, escape
from app.links import page_link
from app.state import Param
from services.verdict import figures, words
from services.verdict.model import Assessment, Strand
from services.verdict.rule import ABTest, Source

TITLES = {Source.PAIRED: "Paired replay", Source.LIVE: "Live traffic"}
MISSING = {
    Source.PAIRED: "No rows have been sent to both arms in this test. A paired replay compares the arms row by row, "
    "which takes hundreds of times fewer rows than traffic that the split divides.",
    Source.LIVE: "No live rewards in this test. Move some traffic to B and send rewards back, or replay through the "
    "split.",
}


def draw_evidence(assessment: Assessment, zone: tzinfo, *, key: str) -> None:
    st.subheader("Difference over time", help="Mean reward of B minus that of A, in this test.")
    strands = ((Source.PAIRED, assessment.paired), (Source.LIVE, assessment.live))
    for column, (source, strand) in zip(st.columns(2, gap="medium"), strands, strict=True):
        with column, st.container(border=True, height="stretch"), boundary(TITLES[source]):
            role = "decides" if assessment.test.rule.decided_by(source) else "can object"
            st.markdown(f"**{TITLES[source]}**, {role} &nbsp; :gray[{escape(summary(strand))}]")
            if strand is None:
                st.caption(MISSING[source])
                link_to_replay(assessment.test, "Start a replay")
                continue
            if len(strand.curve) == 1:
                st.markdown(escape(words.one_look(strand)))
            else:
                draw_difference(assessment, strand, zone, key=key)
            st.caption(escape(footnote(strand)))
            if source is Source.LIVE and (said := words.beside(assessment)):
                st.caption(f":material/info: {escape(said)}")


def summary(strand: Strand | None) -> str:
    """The difference, its interval and n, in a line. Pure."""
    if strand is None:
        return "nothing yet"
    n = f"n {words.amount(strand)}"
    if strand.interval is None:
        return n
    return f"B − A {figures.middle(strand.interval, '')} ({figures.bounds(strand.interval, '')}), {n}"


def footnote(strand: Strand) -> str:
    """What belongs to the curve: how much is missing, what it is adjusted for. Pure."""
    said = []
    if strand.source is Source.LIVE:
        said.append(f"A {fmt.count(strand.n_a)} rewards, B {fmt.count(strand.n_b)}.")
    if strand.adjusted_for:
        said.append(f"Adjusted for {words.adjusted(strand)}.")
    if strand.interval is not None:
        inside = strand.interval.low <= 0 <= strand.interval.high
        said.append("The interval holds 0." if inside else "The interval excludes 0.")
    if missing := words.left(strand):
        said.append(f"A decision is likely after {missing}.")
    if seen := words.visible(strand):
        said.append(seen)
    return " ".join(said)


def link_to_replay(test: ABTest, label: str) -> None:
    where = {Param.DEPLOYMENT: f"{test.namespace}/{test.deployment}", Param.SENDING: "Replay"}
    page_link("traffic", label, where)
