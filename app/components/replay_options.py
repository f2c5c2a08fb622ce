"""Where the rows of a replay go, which of them, and how fast. What is rarely changed is folded away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.arms import label
from app.guard import escape
from services.domain import Deployment
from services.traffic.datasets import Dataset
from services.traffic.replay import DEFAULT_CONCURRENCY, MAX_CONCURRENCY, MAX_PASSES, ReplayMode

MODES = {"As live": ReplayMode.LIVE, "Paired": ReplayMode.PAIRED, "One arm": ReplayMode.PINNED}
FIRST, RANDOM = "The first", "At random"
DEFAULT_ROWS = 1000


def choose_arms(deployment: Deployment) -> dict[str, Any] | None:
    """`mode`, `predictor` and `arms` of the spec; None while they name no pair."""
    left, right = st.columns(2)
    chosen = left.segmented_control(
        "Where to", list(MODES), default="As live", required=True, key="replay-mode", persist_state="session"
    )
    mode = MODES[chosen]
    live = [p.name for p in deployment.predictors if not p.shadow]
    shown = {name: label(deployment, name) for name in (p.name for p in deployment.predictors)}
    if mode is ReplayMode.LIVE:
        st.caption(f"As live traffic goes: {deployment.split}.")
        return {"mode": mode}
    if mode is ReplayMode.PINNED:
        with right:
            predictor = st.selectbox(
                "Arm", list(shown), format_func=shown.__getitem__, key=f"replay-arm-{deployment.key}"
            )
        st.caption("Every row to this arm, past the split.")
        return {"mode": mode, "predictor": predictor}
    if len(live) < 2:
        st.warning("A pair needs two arms; this deployment has one. Deploy a second model.", icon=":material/join:")
        return None
    arms = (live[0], live[1])
    if len(live) > 2:
        first, second = right.columns(2)
        champion = first.selectbox("Champion", live, format_func=shown.__getitem__, key=f"replay-a-{deployment.key}")
        others = [name for name in live if name != champion]
        arms = (
            champion,
            second.selectbox(
                "Challenger", others, format_func=shown.__getitem__, key=f"replay-b-{deployment.key}-{champion}"
            ),
        )
    st.caption(
        f"Every row to {escape(shown[arms[0]])} and {escape(shown[arms[1]])} at once, past the split: the sharpest way "
        "to compare them. Rewards stay in the ledger; the arms' counters are for traffic that the split divides."
    )
    return {"mode": mode, "arms": arms}


def choose_rows(dataset: Dataset) -> dict[str, Any]:
    """`rows`, `sample_seed`, `shuffle_seed`, `passes`, `rate` and `concurrency` of the spec."""
    left, right = st.columns(2)
    rows = left.number_input(
        "Rows",
        1,
        dataset.rows,
        min(DEFAULT_ROWS, dataset.rows),
        step=100,
        key=f"replay-rows-{dataset.digest}",
        help=f"The data has {dataset.rows:,}.",
    )
    which = right.segmented_control(
        "Which rows", [FIRST, RANDOM], default=FIRST, required=True, key="replay-which", persist_state="session"
    )
    with st.expander("Order, passes, pace"):
        shuffled = st.toggle("Shuffle the order", key="replay-shuffled", persist_state="session")
        seed_box, passes_box, rate_box, concurrency_box = st.columns(4)
        seed = seed_box.number_input(
            "Seed",
            0,
            value=1,
            key="replay-seed",
            persist_state="session",
            help="Same seed, same rows, same order.",
        )
        passes = passes_box.number_input(
            "Passes",
            1,
            MAX_PASSES,
            1,
            key="replay-passes",
            persist_state="session",
            help="How often the rows are sent. A second pass brings load, not new evidence about the models.",
        )
        rate = rate_box.number_input(
            "At most rows/s",
            min_value=0.1,
            value=None,
            step=10.0,
            format="%g",
            placeholder="no limit",
            key="replay-rate",
            persist_state="session",
        )
        concurrency = concurrency_box.number_input(
            "Requests at once",
            1,
            MAX_CONCURRENCY,
            DEFAULT_CONCURRENCY,
            key="replay-concurrency",
            persist_state="session",
        )
    return {
        "rows": int(rows),
        "sample_seed": int(seed) if which == RANDOM else None,
        "shuffle_seed": int(seed) if shuffled else None,
        "passes": int(passes),
        "rate": rate,
        "concurrency": int(concurrency),
    }
