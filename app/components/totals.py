"""What each arm did in a window, as a table of whole counts."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import format as fmt
from services.domain import Deployment
from services.metrics.model import ArmTotals


def draw_totals(totals: Sequence[ArmTotals], deployment: Deployment | None, *, split_changed: bool = False) -> None:
    """Arms in the deployment's order; those it no longer has come last.

    `split_changed`: within the window, so that the shares seen are of several splits.
    """
    arms = {p.name: p for p in deployment.predictors} if deployment else {}
    found = {t.predictor: t for t in totals}
    names = [*arms, *(name for name in found if name not in arms)]
    if not found:
        st.caption("No predictions in this window.")
        return
    everything = sum(t.requests for t in totals)
    means = fmt.alike([found[name].mean_reward if name in found else None for name in names], 4)
    rows = [_row(name, found.get(name), everything, mean) for name, mean in zip(names, means, strict=True)]
    labels = [arms[name].provenance.label if name in arms else "no longer deployed" for name in names]
    asked = [fmt.percent(arms[name].traffic / 100) if name in arms else fmt.NONE for name in names]
    st.dataframe(
        {
            "Predictor": names,
            "Model": labels,
            "Asked now": asked,
            **{title: [row[title] for row in rows] for title in rows[0]},
        },
        hide_index=True,
        width="stretch",
    )
    if split_changed:
        st.caption(
            ":material/info: The shares are of all requests in this window: under every split that was in force, and "
            "rows that a replay sent to an arm past the split. The Deploy page counts what the present split divided."
        )


def _row(name: str, totals: ArmTotals | None, everything: int, mean: str) -> dict[str, str]:
    t = totals or ArmTotals(name, 0, 0, 0, 0.0, None, None)
    return {
        "Share in this window": fmt.percent(t.requests / everything if everything else None),
        "Requests": fmt.count(t.requests),
        "Errors": fmt.count(t.errors),
        "Feedback": fmt.count(t.feedback),
        "Mean reward": mean,
        "p50": fmt.latency(t.p50_ms),
        "p95": fmt.latency(t.p95_ms),
    }
