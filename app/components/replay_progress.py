"""Replays as they go and as they went. Everything shown is read from the store, so a closed tab loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app import format as fmt
from app import state
from app.components import arms
from app.components.job_badge import draw_job_badge
from app.guard import escape, guarded
from app.wiring import services
from services.domain import Deployment
from services.errors import DecantError
from services.jobs.states import JobState
from services.traffic.datasets import BUNDLED

if TYPE_CHECKING:
    from services.jobs.replays import Replay
    from services.traffic.replay import ArmCounters

REFRESH_S = 1.0
SHOWN = 20


@st.fragment(run_every=REFRESH_S)
@guarded("The list of replays")
def draw_replays(deployment: Deployment) -> None:
    """A card per running replay, then the past ones as a table with the details of the chosen one."""
    replays = services().replays.recent(deployment.namespace, deployment.name, SHOWN)
    active = [r for r in replays if not r.state.final]
    past = [r for r in replays if r.state.final]
    if not replays:
        st.caption("No replays yet. The form above starts one; its progress appears here and survives a closed tab.")
        return
    for replay in active:
        _draw_card(replay, deployment)
    if not past:
        return
    st.subheader("Past replays")
    ids = [r.id for r in past]
    wanted = state.read(state.Param.REPLAY)
    row = ids.index(int(wanted)) if wanted and wanted.isdigit() and int(wanted) in ids else None
    key = f"replays-{ids[0]}-{len(ids)}"

    def pick() -> None:
        rows = st.session_state[key].selection.rows
        state.write(state.Param.REPLAY, str(ids[rows[0]]) if rows else None)

    st.dataframe(
        table(past, deployment),
        hide_index=True,
        key=key,
        on_select=pick,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [row] if row is not None else []}},
        height=38 + 35 * min(len(past), 8),
    )
    if row is None:
        st.caption("Tick a replay for its details.")
    else:
        _draw_card(past[row], deployment)


def _draw_card(replay: Replay, deployment: Deployment) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**Replay {replay.id}** &nbsp; {escape(describe(replay))}")
                draw_job_badge(replay.state)
            _draw_buttons(replay)
        st.progress(min(1.0, replay.progress), text=progress_text(replay))
        if replay.message:
            (st.error if replay.state is JobState.FAILED else st.caption)(escape(replay.message))
        columns = st.columns(max(2, len(replay.arms)))
        for column, counters in zip(columns, _in_order(replay.arms, deployment), strict=False):
            with column:
                _draw_arm(counters, replay, deployment)
        if replay.errors:
            with st.expander(f"Last errors ({len(replay.errors)})", expanded=not replay.state.final):
                st.code("\n".join(replay.errors), language=None, wrap_lines=True)


def _draw_buttons(replay: Replay) -> None:
    if not replay.state.final:
        if st.button("Cancel", key=f"cancel-replay-{replay.id}", icon=":material/stop_circle:"):
            services().replays.cancel(replay.id)
            st.toast(f"Replay {replay.id} is being cancelled; what was sent stays recorded.")
    elif replay.done_rows < replay.total and replay.state is not JobState.DONE:
        left = fmt.count(replay.total - replay.done_rows)
        if st.button("Go on", key=f"resume-replay-{replay.id}", icon=":material/play_arrow:", help=f"{left} rows left"):
            try:
                services().replays.resume(replay.id)
            except DecantError as error:
                st.error(escape(str(error)))
            else:
                st.rerun(scope="fragment")


def _draw_arm(counters: ArmCounters, replay: Replay, deployment: Deployment) -> None:
    if not counters.predictor:
        st.markdown("**No arm answered**")
    else:
        arms.draw_arm_title(arms.position(deployment, counters.predictor), counters.predictor)
    share = counters.sent / replay.done_rows if replay.done_rows else None
    with st.container(horizontal=True):
        st.metric("Rows", fmt.count(counters.sent), help=f"{fmt.percent(share)} of the rows sent so far")
        mean = fmt.number(counters.mean_reward, 4)
        st.metric(f"Mean reward, n {fmt.count(counters.reward_n)}", mean, help=replay.spec.reward.formula)
        st.metric("Mean latency", fmt.latency(counters.mean_latency_ms), help="Prediction only, seen by the replay.")
    failed = [f"{fmt.count(counters.failed)} failed"] if counters.failed else []
    failed += [f"{fmt.count(counters.feedback_failed)} without feedback"] if counters.feedback_failed else []
    st.caption(f":red[{', '.join(failed)}]" if failed else "none failed")


def describe(replay: Replay) -> str:
    """What is sent where, in a line. Pure."""
    spec = replay.spec
    source = spec.dataset if spec.dataset in BUNDLED else f"upload {Path(spec.dataset).stem[:8]}"
    where = f"all to {spec.predictor}" if spec.predictor else "through the split"
    return f"{source}, {fmt.count(replay.total)} rows, {where}, {spec.reward.label.partition(':')[0].lower()} reward"


def progress_text(replay: Replay) -> str:
    """Rows, pace and time to go (or taken), in a line. Pure but for the clock."""
    parts = [f"{fmt.count(replay.done_rows)} of {fmt.count(replay.total)} rows"]
    if replay.state is JobState.QUEUED:
        return f"{parts[0]} · waiting for the worker"
    if replay.rows_per_s:
        parts.append(fmt.rate(replay.rows_per_s).replace("/s", " rows/s"))
    if replay.eta_s is not None:
        parts.append(f"{fmt.duration(replay.eta_s)} to go")
    if replay.started_at:
        took = ((replay.finished_at or datetime.now(UTC)) - replay.started_at).total_seconds()
        parts.append(f"{'took' if replay.finished_at else 'for'} {fmt.duration(took)}")
    return " · ".join(parts)


def table(replays: Sequence[Replay], deployment: Deployment) -> pd.DataFrame:
    """One row per replay, the newest first as given; a pair of columns per arm."""
    zone = state.zone()
    names = [p.name for p in deployment.predictors]
    names += sorted({c.predictor for r in replays for c in r.arms if c.predictor} - set(names))
    by_arm = [{c.predictor: c for c in r.arms} for r in replays]
    columns: dict[str, list[object]] = {
        "Replay": [r.id for r in replays],
        "What": [describe(r) for r in replays],
        "State": [r.state.value for r in replays],
        "Rows": [r.done_rows for r in replays],
    }
    for name in names:
        shown = arms.label(deployment, name)
        columns[f"{shown}: mean reward"] = [arm[name].mean_reward if name in arm else None for arm in by_arm]
        columns[f"{shown}: n"] = [arm[name].reward_n if name in arm else None for arm in by_arm]
    columns["Failed"] = [sum(c.failed for c in r.arms) for r in replays]
    columns["Who"] = [r.who for r in replays]
    columns["Started"] = [fmt.clock(r.started_at, zone) for r in replays]
    return pd.DataFrame(columns)


def _in_order(counters: Sequence[ArmCounters], deployment: Deployment) -> list[ArmCounters]:
    """As the deployment names its arms; what nobody answered comes last."""
    return sorted(counters, key=lambda c: (not c.predictor, arms.position(deployment, c.predictor), c.predictor))
