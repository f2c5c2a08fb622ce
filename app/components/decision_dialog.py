"""The dialogs before a decision and before taking one back: evidence, what speaks against it, what changes, why."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import format as fmt
from app import reads
from app.guard import boundary, escape, show_error
from app.wiring import note, services
from services.decisions.evidence import primary
from services.decisions.model import Decision, Kind, obstacles
from services.errors import DecantError
from services.verdict import words
from services.verdict.model import Assessment, Light

TITLES = {Kind.PROMOTE: "Promote {b}?", Kind.KEEP: "Keep {a}?", Kind.END: "End the test without a winner?"}
CONFIRM = {Kind.PROMOTE: "Promote {b}", Kind.KEEP: "Keep {a}", Kind.END: "End the test"}
MAX_REASON = 500


def ask_to_decide(kind: Kind, assessment: Assessment) -> None:
    """Open the dialog. What it shows is what will be decided on, however long it stays open."""
    names = words.arm_names(assessment.test.rule)
    body: Callable[..., None] = st.dialog(TITLES[kind].format(a=names.a, b=names.b), width="large")(_decide)
    st.session_state.pop(_preview_key(kind, assessment), None)
    body(kind, assessment)


def _decide(kind: Kind, assessment: Assessment) -> None:
    names = words.arm_names(assessment.test.rule)
    against = obstacles(kind, assessment)
    _draw_evidence(assessment, against)
    override = False
    if against:
        st.error(against_words(against), icon=":material/block:")
        override = st.checkbox(
            "Decide against this on purpose; what was overridden is recorded with the decision", key="decision-override"
        )
    changes = _changes(kind, assessment)
    if changes:
        st.markdown("**What changes**\n" + "\n".join(f"- {escape(line)}" for line in changes))
    why = st.text_area(
        "Reason", placeholder="why, for the history and for MLflow", max_chars=MAX_REASON, key="decision-reason"
    )
    ready = changes is not None and (override or not against)
    label = CONFIRM[kind].format(a=names.a, b=names.b)
    if st.button(label, type="primary", disabled=not ready, key="decision-confirm"):
        if not why.strip():
            st.warning("Say in a sentence why: it is kept with the decision.", icon=":material/edit:")
            return
        with boundary("The decision"), st.spinner("Deciding …"):
            services().decisions.decide(kind, assessment, note=note(why), override=override)
            reads.forget()
            st.rerun()


def evidence_words(assessment: Assessment) -> str:
    """The primary difference with its interval and n, in Markdown. Pure."""
    strand, row = primary(assessment)
    if strand is None:
        return "There is no evidence yet."
    label = escape(row.label if row is not None else "Reward")
    n = f"{strand.n:,} {words.UNITS[strand.source]} of {words.SOURCES[strand.source]}"
    if strand.interval is None:
        why = "" if strand.withheld in assessment.headline else f" {escape(strand.withheld)}"
        return f"{label}: {n}, no interval.{why}"
    unit, found = row.unit if row is not None else "", strand.interval
    return (
        f"{label}, B − A: **{words.change(found.estimate, unit)}**, "
        f"{fmt.percent(found.level)} interval {words.bounds(found, unit)}, {n}"
    )


def against_words(against: tuple[str, ...]) -> str:
    """What speaks against a decision, in Markdown. Pure."""
    return "**The evidence does not carry this decision.**\n" + "\n".join(f"- {escape(said)}" for said in against)


def _draw_evidence(assessment: Assessment, told_below: tuple[str, ...]) -> None:
    st.markdown(f"**{escape(assessment.headline)}**  \n{evidence_words(assessment)}")
    unsound = [check for check in assessment.checks if check.light is not Light.GREEN]
    fine = len(assessment.checks) - len(unsound)
    lines = [
        f"- {words.LIGHT_MARKS[check.light]} {escape(check.title)} ({words.LIGHT_WORDS[check.light]}): "
        f"{escape(check.sentence)}"
        for check in unsound
        if check.sentence not in told_below
    ]
    st.markdown("\n".join([f"{fine} of {len(assessment.checks)} checks are green.", *lines]))


def _changes(kind: Kind, assessment: Assessment) -> tuple[str, ...] | None:
    """What the decision would change; None if it cannot be carried out now, which is then said. Asked once a dialog."""
    key = _preview_key(kind, assessment)
    if key not in st.session_state:
        try:
            with st.spinner("Looking at the deployment and MLflow …"):
                st.session_state[key] = services().decisions.preview(kind, assessment)
        except DecantError as error:
            show_error(error)
            return None
    found: tuple[str, ...] = st.session_state[key]
    return found


def _preview_key(kind: Kind, assessment: Assessment) -> str:
    return f"decision-changes-{assessment.test.id}-{kind}"


@st.dialog("Undo this decision?")
def ask_to_undo(decision: Decision) -> None:
    """Says what comes back, asks why, and takes the decision back."""
    alias = " The alias in MLflow names what it named before;" if decision.winner else ""
    st.markdown(
        f"The deployment **{decision.namespace}/{decision.deployment}** gets back the models and the split from before "
        f"the decision.{alias} tags and artifacts say that it was undone. The test stays ended: a new one can begin."
    )
    why = st.text_area(
        "Reason", placeholder="why, for the history and for MLflow", max_chars=MAX_REASON, key="decision-undo-reason"
    )
    if st.button("Undo it", type="primary", icon=":material/undo:", key="decision-undo-confirm"):
        if not why.strip():
            st.warning("Say in a sentence why: it is kept with the decision.", icon=":material/edit:")
            return
        with boundary("The undo"), st.spinner("Taking it back …"):
            services().decisions.undo(decision.namespace, decision.deployment, note=note(why))
            reads.forget()
            st.rerun()
