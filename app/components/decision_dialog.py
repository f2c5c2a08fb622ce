"""The dialogs before a decision and before taking one back: evidence, what speaks against it, what changes, why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app import format as fmt
from app import reads
from app.components import dialogs
from app.components.take_over import ask_take_over
from app.guard import boundary, escape, show_error
from app.wiring import note, services
from services.decisions.carrier import Tell
from services.decisions.evidence import primary
from services.decisions.fresh import VerdictChanged
from services.decisions.model import Decision, Kind, obstacles
from services.errors import DecantError
from services.verdict import figures, words
from services.verdict.model import Assessment, Light

TITLES = {Kind.PROMOTE: "Promote {b}?", Kind.KEEP: "Keep {a}?", Kind.END: "End the test without a winner?"}
CONFIRM = {Kind.PROMOTE: "Promote {b}", Kind.KEEP: "Keep {a}", Kind.END: "End the test"}
MAX_REASON = 500
REASON, OVERRIDE, CONFIRMED = "decision-reason", "decision-override", "decision-confirm"
TAKE_OVER = "take-over-decision"  # the key of that tick


def ask_to_decide(kind: Kind, assessment: Assessment) -> None:
    """Open the dialog on this evidence: it stays what the dialog shows, until the decision is refused for a newer."""
    names = words.arm_names(assessment.test.rule)
    for key in (_preview_key(kind, assessment), _newer_key(assessment)):
        st.session_state.pop(key, None)
    dialogs.show(TITLES[kind].format(a=names.a, b=names.b), lambda: _decide(kind, assessment), width="medium")


def _decide(kind: Kind, opened: Assessment) -> None:
    seen: Assessment = st.session_state.get(_newer_key(opened), opened)
    with st.container():  # there whether it holds anything or not, so that nothing below takes its place
        if st.session_state.get(CONFIRMED):  # before the evidence is drawn, which may be other evidence by then
            seen = _confirmed(kind, seen)
    against = obstacles(kind, seen)
    _draw_evidence(seen, against)
    override = False
    if against:
        st.error(against_words(against), icon=":material/block:")
        override = st.checkbox(
            "Decide against this on purpose; what was overridden is recorded with the decision", key=OVERRIDE
        )
    changes = _changes(kind, seen)
    if changes:
        st.markdown("**What changes**\n" + "\n".join(f"- {escape(line)}" for line in changes))
    st.text_area("Reason", placeholder="why, for the history and for MLflow", max_chars=MAX_REASON, key=REASON)
    names = words.arm_names(seen.test.rule)
    allowed = _ask_take_over(seen.test.namespace, seen.test.deployment) if kind is not Kind.END else True
    ready = changes is not None and (override or not against) and allowed
    st.button(CONFIRM[kind].format(a=names.a, b=names.b), type="primary", disabled=not ready, key=CONFIRMED)


def _confirmed(kind: Kind, seen: Assessment) -> Assessment:
    """Decide, and close the dialog; if that is not possible say why and return the evidence to go on with."""
    why = str(st.session_state.get(REASON, ""))
    if not why.strip():
        st.warning("Say in a sentence why: it is kept with the decision.", icon=":material/edit:")
        return seen
    where = (seen.test.namespace, seen.test.deployment)
    override = bool(st.session_state.get(OVERRIDE))
    over = bool(st.session_state.get(TAKE_OVER))
    with boundary("The decision"):
        try:
            with _telling("Deciding …") as tell:
                services().decisions.decide(
                    kind, *where, note=note(why, take_over=over), seen=seen, override=override, tell=tell
                )
        except VerdictChanged as error:
            st.session_state[_newer_key(seen)] = seen = error.now
            st.session_state[OVERRIDE] = False  # it was given against other evidence
            reads.forget()
            raise
        reads.forget()
        dialogs.close()
    return seen


def _ask_take_over(namespace: str, name: str) -> bool:
    """Whether it may go on: the tick where another tool manages the deployment; one that is gone is told of below."""
    try:
        return ask_take_over(reads.status(namespace, name), key="decision")[0]
    except DecantError:
        return True


@contextmanager
def _telling(label: str) -> Iterator[Tell]:
    """A box that says each step as it is taken; it goes away when they are."""
    place = st.empty()
    try:
        with place.status(label, expanded=True):
            steps = st.empty()
            lines: list[str] = []

            def tell(_: str, said: str) -> None:
                if said:
                    lines.append(f"- {escape(said)}")
                    steps.markdown("\n".join(lines))

            yield tell
    finally:
        place.empty()


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
        f"{label}, B − A: **{figures.middle(found, unit)}**, "
        f"{fmt.percent(found.level)} interval {figures.bounds(found, unit)}, {n}"
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


def _newer_key(assessment: Assessment) -> str:
    return f"decision-newer-{assessment.test.id}"


def _preview_key(kind: Kind, assessment: Assessment) -> str:
    return f"decision-changes-{assessment.test.id}-{kind}"


def ask_to_undo(decision: Decision, what: str) -> None:
    """Open the dialog before this very decision is taken back; `what` says in Markdown what it was."""
    dialogs.show(f"Undo decision {decision.id}?", lambda: _undo(decision, what))


def _undo(decision: Decision, what: str) -> None:
    where = (decision.namespace, decision.deployment)
    alias = "The alias in MLflow names what it named before;" if decision.champion else "In MLflow,"
    moved = "gets back the models and the split from before the decision" if decision.winner else "stays as it is"
    st.markdown(
        f"{what}\n\nThe deployment **{'/'.join(where)}** {moved}. {alias} tags and artifacts say that it was undone. "
        "The test stays ended: a new one can begin."
    )
    why = st.text_area(
        "Reason", placeholder="why, for the history and for MLflow", max_chars=MAX_REASON, key="decision-undo-reason"
    )
    allowed = _ask_take_over(*where) if decision.winner else True
    if st.button("Undo it", type="primary", icon=":material/undo:", key="decision-undo-confirm", disabled=not allowed):
        if not why.strip():
            st.warning("Say in a sentence why: it is kept with the decision.", icon=":material/edit:")
            return
        over = bool(st.session_state.get(TAKE_OVER))
        with boundary("The undo"):
            with _telling("Taking it back …") as tell:
                services().decisions.undo(*where, note=note(why, take_over=over), decision=decision.id, tell=tell)
            reads.forget()
            dialogs.close()
