"""Monitor: what is happening to the live traffic, per predictor, and who changed what when."""

from __future__ import annotations

import streamlit as st

from app import reads, state
from app.components.live import View, draw_live
from app.components.picker import pick_deployment, pick_window
from app.guard import boundary, guarded
from app.links import page_link
from app.wiring import reader
from services.metrics.model import QUANTILES

REFRESH_S, REFRESH_SLOW_S = 5, 30
LABELS = {f"p{round(q * 100)}": q for q in QUANTILES}

st.title("Monitor")
built = reader()
status, known = None, False
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    with boundary("The engine"):
        statuses = built.engine.list()
        known = True
        status = pick_deployment(statuses)
    window = pick_window()
    shown = st.pills(
        "Latency",
        list(LABELS),
        selection_mode="multi",
        default=["p50", "p95"],
        key="quantiles",
        persist_state="session",
    )
    auto = st.toggle("Auto-refresh", value=True, key="auto-refresh")

where = (status.deployment.namespace, status.deployment.name) if status else None if known else state.deployment()
if where is None:
    if known:
        st.info("Nothing is deployed yet, so there is nothing to watch.", icon=":material/rocket_launch:")
        page_link("deploy", "Deploy a model")
    st.stop()

view = View(
    *where,
    arms=status.deployment if status else None,
    window=window,
    quantiles=tuple(LABELS[label] for label in LABELS if label in (shown or ["p50"])),
    zone=state.zone(),
    symptoms=lambda arms: reads.symptoms.of(built, arms),
    now=lambda: reads.status.of(built, *where).deployment,
)


@guarded("The live charts")
def live() -> None:
    draw_live(view, built.metrics, built.store)


interval_s = REFRESH_S if window.seconds <= 3600 else REFRESH_SLOW_S
st.fragment(live, run_every=interval_s if auto else None)()
