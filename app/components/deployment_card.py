"""One deployment on one card: its arms, the split asked for and in force, the rate, and who changed it last and why."""

from __future__ import annotations

import html
from datetime import datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import format as fmt
from app import theme
from app.components.history import describe
from app.components.verdict_badge import draw_badge
from app.guard import escape
from app.links import page_link
from app.state import Param
from services.domain import Change, DeploymentStatus, Phase, PredictorStatus, Split
from services.verdict.model import Assessment

PHASES = {
    Phase.READY: ("green", ":material/check_circle:"),
    Phase.LOADING: ("orange", ":material/hourglass_top:"),
    Phase.PENDING: ("gray", ":material/schedule:"),
    Phase.FAILED: ("red", ":material/error:"),
}


def draw_card(
    status: DeploymentStatus,
    rate_per_s: float | None,
    last: Change | None,
    now: datetime,
    verdict: Assessment | None = None,
) -> None:
    """`rate_per_s` None: not known (Prometheus is silent or there was no traffic); `verdict` None: no test runs."""
    deployment = status.deployment
    colors = theme.arm_colors([p.name for p in deployment.predictors])
    with st.container(border=True, key=f"card-{deployment.namespace}-{deployment.name}"):
        with _line():
            st.markdown(
                f"##### {escape(deployment.name)} &nbsp; :gray[{escape(deployment.namespace)}]", width="content"
            )
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                draw_badge(verdict)
                st.markdown(f"**{fmt.rate(rate_per_s)}** :gray[now]", width="content")
        if status.managed_by:
            st.badge(f"managed by {escape(status.managed_by)}", icon=":material/handshake:", color="orange")
        if status.message:
            st.caption(f":orange[{escape(status.message)}]")
        if status.deleting:
            st.caption("It is being deleted.")
        for predictor in deployment.predictors:
            share = "shadow" if predictor.shadow else fmt.percent(predictor.traffic / 100)
            dot = f'<span style="color:{colors[predictor.name]}">●</span>'
            with _line():
                st.html(
                    f'{dot} <b>{html.escape(predictor.name)}</b> <span style="opacity:.75">'
                    f"{html.escape(predictor.provenance.label)} · {share}</span>",
                    width="content",
                )
                _draw_phase(status.predictor(predictor.name))
        st.html(split_bars(status, colors))
        st.caption(_last_change(status, last, now))
        where = {Param.DEPLOYMENT: deployment.key}
        with st.container(horizontal=True, gap="xxsmall"):
            for page in ("verdict", "monitor", "deploy", "traffic"):
                page_link(page, params=where)


def _line() -> DeltaGenerator:
    """Words at the left, their state at the right; unlike columns it keeps them on one line of a phone."""
    return st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")


def split_bars(status: DeploymentStatus, colors: dict[str, str]) -> str:
    """The split as HTML: one bar when what was asked is in force, else one for each, named."""
    requested, in_force = status.requested, status.in_force
    if in_force is not None and in_force.as_dict() == requested.as_dict():
        return _bar("in force", requested, colors)
    if in_force is None:
        missing = "not in force yet" if status.beginning else "what is in force cannot be read"
        return _bar(f"asked for; {missing}", requested, colors)
    return _bar("asked for", requested, colors) + _bar("in force", in_force, colors)


def _bar(label: str, split: Split, colors: dict[str, str]) -> str:
    pieces = "".join(
        f'<div style="width:{percent}%;background:{colors.get(name, theme.total_color())}" '
        f'title="{html.escape(name)} {percent} %"></div>'
        for name, percent in split.shares
        if percent
    )
    said = html.escape(f"{label}: {split}")
    return (
        f'<div style="margin:.1rem 0"><div role="img" aria-label="{said}" style="display:flex;gap:2px;height:.7rem;'
        f'border-radius:.35rem;overflow:hidden;background:rgba(128,128,128,.2)">{pieces}</div>'
        f'<div style="font-size:.85rem;opacity:.75">{html.escape(label)}: '
        f"{' / '.join(str(percent) for _, percent in split.shares)}</div></div>"
    )


def _draw_phase(status: PredictorStatus) -> None:
    color, icon = PHASES[status.phase]
    text = "updating" if status.updating else str(status.phase)
    if status.desired > 1:
        text += f" {status.ready}/{status.desired}"
    st.badge(text, icon=icon, color=color, help=escape(status.said) or None)  # type: ignore[arg-type]


def _last_change(status: DeploymentStatus, last: Change | None, now: datetime) -> str:
    if last is not None:
        why = f" — {escape(last.reason)}" if last.reason else ""
        return f"{fmt.ago(last.at, now)}, {escape(last.who)}: {escape(describe(last))}{why}"
    if status.changed_at is None:
        return "No change on record."
    return f"changed {fmt.ago(status.changed_at, now)} by {escape(status.changed_by or 'somebody')}"
