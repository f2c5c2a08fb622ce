"""Whether the numbers of a page can be believed: what the metrics of a deployment suffer from, and the mend."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.guard import escape
from services.metrics.symptoms import Symptom


def draw_warning(symptoms: Sequence[Symptom]) -> None:
    """Above the numbers, if some are wrong: one line. What is merely missing or blurred is for the check below."""
    wrong = [symptom for symptom in symptoms if symptom.wrong]
    if wrong:
        text = "  \n".join(f"**{escape(symptom.sentence)}**  \n{escape(symptom.mend)}" for symptom in wrong)
        st.warning(text, icon=":material/stethoscope:")


def draw_check(symptoms: Sequence[Symptom] | None) -> None:
    """The whole list behind one line; None when Prometheus could not be asked."""
    if symptoms is None:
        return
    found = f"{len(symptoms)} finding{'' if len(symptoms) == 1 else 's'}" if symptoms else "nothing wrong"
    with st.expander(f"Check of the metrics: {found}", icon=":material/stethoscope:", key="metrics-check"):
        if not symptoms:
            st.caption(
                "Every predictor is scraped once, often enough for the windows of the charts, with the labels that "
                "tell arms apart; every feedback is counted, no sum of rewards falls, the buckets of latency are fine "
                "enough, and a test that is read from the counters is held from its beginning."
            )
        for symptom in symptoms:
            st.markdown(f"**{escape(symptom.sentence)}**  \n{escape(symptom.mend)}")
