"""The decision below a verdict: its buttons while the test runs, what became of it after, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components import dialogs
from app.components.decision_dialog import ask_to_decide, ask_to_undo
from app.components.decision_list import draw_decisions
from app.components.rights import change_button, leads_only, may_change
from app.guard import escape, guarded
from app.wiring import services
from services.decisions import words as decision_words
from services.decisions.model import Decision, Kind, State
from services.verdict import words
from services.verdict.model import Assessment, Call

if TYPE_CHECKING:
    from services.factory import Services

ICONS = {Kind.PROMOTE: ":material/trophy:", Kind.KEEP: ":material/shield:", Kind.END: ":material/flag:"}
CALLED_FOR = {Call.SHIP: Kind.PROMOTE, Call.KEEP: Kind.KEEP}
"""The decision that a verdict calls for."""
BUSY_S = 2


@reads.remembered(1)
def _decisions(backend: Services, namespace: str, name: str) -> Sequence[Decision]:
    """Newest first."""
    return tuple(backend.decisions.recent(namespace, name))


def draw_decision(assessment: Assessment) -> None:
    """Buttons that open the dialog while the test runs; else, or besides, the decision there is."""
    test = assessment.test
    made = [d for d in _decisions(test.namespace, test.deployment) if d.test == test.id]
    if made and not made[0].finished:
        st.fragment(_watch, run_every=BUSY_S)(made[0].id, assessment)
        return
    for decision in made[:1]:
        _draw_made(decision, assessment)
    if test.running:
        _draw_buttons(assessment)
    draw_decisions(_decisions(test.namespace, test.deployment), state.zone(), key=f"decisions-{test.id}")


def _draw_buttons(assessment: Assessment) -> None:
    if not leads_only("Deciding"):
        return
    names = words.arm_names(assessment.test.rule)
    labels = {Kind.PROMOTE: f"Promote {names.b} …", Kind.KEEP: f"Keep {names.a} …", Kind.END: "End the test …"}
    with st.container(horizontal=True, vertical_alignment="center"):
        for kind, label in labels.items():
            asked = CALLED_FOR.get(assessment.call) is kind
            key = f"decide-{kind}-{assessment.test.id}"
            if st.button(label, type="primary" if asked else "secondary", icon=ICONS[kind], key=key):
                ask_to_decide(kind, assessment)


@guarded("The decision")
def _watch(decision_id: int, assessment: Assessment) -> None:
    """An unfinished decision: goes on with it, and draws it until the page can be drawn anew, which a dialog delays."""
    decision = services().decisions.get(decision_id)
    if may_change():  # else the worker does
        services().decisions.settle(decision.namespace, decision.deployment)
        decision = services().decisions.get(decision_id)
    if decision.finished:
        reads.forget()
        dialogs.refresh_page()
    _draw_made(decision, assessment)


def _draw_made(decision: Decision, assessment: Assessment) -> None:
    with st.container(border=True):
        st.markdown(headline(decision, assessment))
        _draw_steps("", ":material/check:", decision.did)
        _draw_steps("Taken back:" if decision.did else "", ":material/undo:", decision.took_back)
        if decision.waiting:
            st.info(f"**Not finished yet.** {escape(decision.waiting)}", icon=":material/sync:")
        if decision.gaps:
            st.caption("  \n".join(f":material/info: {escape(gap)}" for gap in decision.gaps))
        _draw_ways_on(decision, assessment)


def _draw_steps(title: str, icon: str, steps: Sequence[str]) -> None:
    if steps:
        st.caption("  \n".join([*([f"**{title}**"] if title else []), *(f"{icon} {escape(said)}" for said in steps)]))


def headline(decision: Decision, assessment: Assessment) -> str:
    """What was decided, by whom, when, why and on what, in Markdown. Pure."""
    said = f"{titled(decision, assessment)}  \n:gray[{escape(decision.summary)}]"
    if decision.champion and decision.state in (State.DOING, State.DONE):
        said += f"  \nIn MLflow the champion is {escape(decision.champion)}."
    if decision.overridden:
        said += f"  \n:orange[Overridden: {escape(' '.join(decision.overridden))}]"
    if decision.state in (State.UNDOING, State.UNDONE):
        word = "Taken back" if decision.state is State.UNDONE else "Being taken back"
        said += f"  \n**{word}** by {escape(decision.undone_who)}: {escape(decision.undone_why)}"
    return said


def titled(decision: Decision, assessment: Assessment) -> str:
    """`Decision 3: B is promoted by ann, 12:03: fewer bad bottles`, in Markdown. Pure."""
    names = words.arm_names(assessment.test.rule)
    what = decision_words.outcome(decision.kind, names.b if decision.kind is Kind.PROMOTE else names.a)
    when = fmt.clock(decision.at, state.zone())
    return f"**Decision {decision.id}: {escape(what)}** by {escape(decision.who)}, {when}: {escape(decision.why)}"


def _draw_ways_on(decision: Decision, assessment: Assessment) -> None:
    found = _decisions(decision.namespace, decision.deployment)
    standing = next((d for d in found if d.state is not State.UNDONE), None)
    revocable = standing is not None and standing.id == decision.id and decision.state is not State.UNDOING
    decisions = services().decisions  # asked for here: the download is made in a thread of its own
    with st.container(horizontal=True, vertical_alignment="center"):
        if revocable and change_button(
            "Undo this decision …", icon=":material/undo:", key=f"decision-undo-{decision.id}"
        ):
            ask_to_undo(decision, titled(decision, assessment))
        st.download_button(
            "Report",
            data=lambda: decisions.report(decision.id),
            file_name=f"decision-{decision.id}.html",
            mime="text/html",
            icon=":material/download:",
            key=f"decision-report-{decision.id}",
            on_click="ignore",
        )
