"""What the paired replay shows beyond the mean: how often the arms agree, and the rows on which they differ most."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import format as fmt
from app.components.verdict_style import STYLE
from app.guard import escape
from app.links import page_link
from app.state import Param
from services.verdict import figures, words
from services.verdict.model import Assessment, Disagreement, Strand


def draw_paired(assessment: Assessment, strand: Strand) -> None:
    facts = [
        ("Difference B − A", figures.middle(strand.interval, "")),
        ("Interval", figures.bounds(strand.interval, "") if strand.interval else "withheld"),
        ("Rows used", fmt.count(strand.n)),
        ("Same answer", fmt.percent(strand.agreement)),
    ]
    cells = "".join(
        f'<div><span class="dv-quiet">{name}</span><br><b style="font-size:1.1rem">{said}</b></div>'
        for name, said in facts
    )
    st.html(f'{STYLE}<div style="display:flex;flex-wrap:wrap;gap:.4rem 1.8rem">{cells}</div>')
    if strand.withheld:
        st.caption(f"Why no interval: {escape(strand.withheld)}")
    if not assessment.disagreements:
        st.caption("The arms answered the same on every row." if strand.agreement == 1 else "No single rows to show.")
        return
    st.caption("The rows on which the predictions are furthest apart:")
    names = words.arm_names(assessment.test.rule)
    st.dataframe(disagreement_table(assessment.disagreements, names), hide_index=True, width="stretch")
    where = f"{assessment.test.namespace}/{assessment.test.deployment}"
    with st.container(horizontal=True):
        for replay in dict.fromkeys(d.replay for d in assessment.disagreements):
            page_link(
                "traffic",
                f"Replay {replay}",
                {Param.DEPLOYMENT: where, Param.SENDING: "Replay", Param.REPLAY: str(replay)},
            )


def disagreement_table(found: tuple[Disagreement, ...], names: words.ArmNames) -> dict[str, list[Any]]:
    """Columns for a table, one row per disagreement in the order given. Pure."""
    return {
        "Replay": [d.replay for d in found],
        "Row": [d.row for d in found],
        "Truth": [figures.shown(d.truth) for d in found],
        f"{names.a} said": [a for a, _ in figures.answers(found)],
        f"{names.b} said": [b for _, b in figures.answers(found)],
        f"Reward {names.a}": [a for a, _ in figures.rewards(found)],
        f"Reward {names.b}": [b for _, b in figures.rewards(found)],
        "B − A": figures.changes(
            [None if d.reward_a is None or d.reward_b is None else d.reward_b - d.reward_a for d in found]
        ),
    }
