"""The Verdict page from the call down to the drawer, drawn again by itself while the test runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

import streamlit as st

from app import format as fmt
from app.components import dialogs, verdict_reads
from app.components.decision import draw_decision
from app.components.verdict_evidence import draw_evidence
from app.components.verdict_line import draw_verdict_line
from app.components.verdict_paired import draw_paired
from app.components.verdict_slices import draw_slices
from app.components.verdict_start import draw_no_evidence
from app.components.verdict_table import draw_metric_table
from app.components.verdict_trust import draw_trust_strip
from app.components.verdict_why import draw_why
from app.guard import boundary
from services.verdict.model import Assessment


@dataclass(frozen=True, slots=True)
class View:
    """What the person looks at. `newest` is the newest test there was when the page was opened."""

    namespace: str
    name: str
    test_id: int
    newest: int
    zone: tzinfo


def draw_verdict(view: View) -> None:
    """Raises what the assessment raises; a part that cannot be drawn takes no other along."""
    tests = verdict_reads.tests(view.namespace, view.name)
    if tests and tests[0].id != view.newest:
        dialogs.refresh_page()  # somebody started another test: the page around this fragment is about the old one
    assessment = verdict_reads.assessment(view.namespace, view.name, view.test_id)
    key = f"{view.namespace}-{view.name}-{view.test_id}"
    with boundary("The verdict"):
        draw_verdict_line(assessment, view.zone)
    with boundary("The decision"):
        draw_decision(assessment)
    with boundary("The trust strip"):
        draw_trust_strip(assessment.checks)
    if assessment.paired is None and assessment.live is None:
        draw_no_evidence(assessment.test)
    else:
        _draw_evidence(assessment, view, key)
    with boundary("The drawer"):
        draw_why(assessment, view.zone, key=key)
    st.caption(f"Assessed at {fmt.clock(assessment.as_of, view.zone)} ({view.zone})")


def _draw_evidence(assessment: Assessment, view: View, key: str) -> None:
    with boundary("The table"):
        st.subheader("A and B")
        draw_metric_table(assessment)
    with boundary("The curves"):
        draw_evidence(assessment, view.zone, key=key)
    if assessment.paired is None:
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"), boundary("The paired replay"):
        st.markdown("**Row by row** &nbsp; :gray[paired replay]")
        draw_paired(assessment, assessment.paired)
    with right, st.container(border=True, height="stretch"), boundary("The slices"):
        st.markdown("**Where does B lose?** &nbsp; :gray[paired replay]")
        draw_slices(assessment, assessment.paired)
