"""The pre-flight check on the page: what blocks and what to mind, each with its mend; the rest folded away."""

from __future__ import annotations

import streamlit as st

from app.components.arms import label as arm_label
from app.guard import escape
from services.domain import Deployment, Finding, Fix, Severity
from services.preflight.check import Report
from services.preflight.mending import LABELS

_ICONS = {
    Severity.BLOCKS: ":red[:material/block:]",
    Severity.WARNS: ":orange[:material/warning:]",
    Severity.FINE: ":green[:material/check:]",
}


def chosen_mends(key: str) -> tuple[Finding, ...]:
    """The findings whose mend somebody has pressed for in this draft."""
    found: tuple[Finding, ...] = st.session_state.get(_slot(key), ())
    return found


def take_mend(key: str, predictor: str, fix: Fix) -> bool:
    """Whether somebody has pressed for this mend of the arm. It is taken from the draft: a field has it from now on."""
    chosen = chosen_mends(key)
    rest = tuple(f for f in chosen if (f.predictor, f.fix) != (predictor, fix))
    if len(rest) < len(chosen):
        st.session_state[_slot(key)] = rest
    return len(rest) < len(chosen)


def draw_preflight(report: Report, deployment: Deployment, key: str) -> list[str]:
    """Draw the findings; returns what forbids applying, in words."""
    with st.container(border=True, gap="small"):
        st.markdown(f"**Pre-flight check** · {summary(report)}")
        for finding in (*report.blocks, *report.warns):
            _draw(finding, deployment, key)
        if report.fine:
            with st.expander(f"What was found fine ({len(report.fine)})", icon=":material/checklist:"):
                for finding in report.fine:
                    st.markdown(_line(finding, deployment))
    return [finding.what for finding in report.blocks]


def summary(report: Report) -> str:
    """`1 problem, 2 warnings, 7 fine`. Pure."""
    counts = ((len(report.blocks), "problem"), (len(report.warns), "warning"))
    parts = [f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count]
    return ", ".join([*(parts or ["nothing to mend"]), *([f"{len(report.fine)} fine"] if report.fine else [])])


def _draw(finding: Finding, deployment: Deployment, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        mend = f"  \n:gray[{escape(finding.mend)}]" if finding.mend else ""
        st.markdown(_line(finding, deployment) + mend)
        if finding.fix is not None and st.button(
            LABELS[finding.fix], key=f"mend-{key}-{finding.predictor}-{finding.fix}", icon=":material/build:"
        ):
            st.session_state[_slot(key)] = (*chosen_mends(key), finding)
            st.rerun()


def _line(finding: Finding, deployment: Deployment) -> str:
    arm = f"**{escape(arm_label(deployment, finding.predictor))}:** " if finding.predictor else ""
    return f"{_ICONS[finding.severity]} {arm}{escape(finding.what)}"


def _slot(key: str) -> str:
    return f"mends-{key}"
