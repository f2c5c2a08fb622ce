"""Replays as they go and as they went. Everything shown is read from the store, so a closed tab loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app import format as fmt
from app import state
from app.components import arms
from app.components.job_badge import draw_job_badge
from app.components.rights import may_change
from app.guard import escape, guarded
from app.wiring import services
from services.domain import Deployment
from services.errors import DecantError
from services.jobs.states import JobState
from services.traffic.datasets import BUNDLED
from services.traffic.replay import ReplayMode
from services.traffic.rewards import LABELS, RewardKind

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from services.jobs.replays import Replay
    from services.traffic.replay import ArmCounters

REFRESH_S = 1.0
SHOWN = 20
REWARDS = {kind: LABELS[kind].partition(":")[0].lower() for kind in RewardKind}


@st.fragment(run_every=REFRESH_S)
@guarded("The list of replays")
def draw_replays(deployment: Deployment) -> None:
    """A card per replay that runs, waits or is paused, then a table of the past ones with details of the chosen one."""
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
        in_words(table(past, deployment), past),
        placeholder=fmt.NONE,
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
        if replay.waiting:
            st.warning(escape(replay.waiting), icon=":material/hourglass:")
        if replay.sent_by:
            st.caption(f":material/groups: Sent by {escape(replay.sent_by)}")
        if replay.bottleneck:
            st.caption(f":material/speed: {escape(replay.bottleneck)}")
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
    if not may_change():
        return
    replays, number = services().replays, replay.id
    left = f"{fmt.count(replay.total - replay.done_rows)} rows left"
    with st.container(horizontal=True, width="content"):
        if replay.state in (JobState.QUEUED, JobState.RUNNING):
            held = "It holds until somebody resumes it, whatever is restarted meanwhile."
            if st.button("Pause", key=f"pause-replay-{number}", icon=":material/pause:", help=held):
                _act(lambda: replays.pause(number))
        elif _may_go_on(replay) and st.button(
            "Go on", key=f"resume-replay-{number}", icon=":material/play_arrow:", help=left
        ):
            _act(lambda: replays.resume(number))
        if not replay.state.final and st.button(
            "Cancel", key=f"cancel-replay-{number}", icon=":material/stop_circle:", help="What was sent stays recorded."
        ):
            _act(lambda: replays.cancel(number))


def _may_go_on(replay: Replay) -> bool:
    unfinished = replay.state in (JobState.CANCELLED, JobState.FAILED) and replay.done_rows < replay.total
    return replay.state is JobState.PAUSED or unfinished


def _act(act: Callable[[], object]) -> None:
    """Do it and draw the replays anew; an error stays where the button is."""
    try:
        act()
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
    unfed = "without feedback" if counters.reward_n else "without a reward"
    failed += [f"{fmt.count(counters.feedback_failed)} {unfed}"] if counters.feedback_failed else []
    st.caption(f":red[{', '.join(failed)}]" if failed else "none failed")


def describe(replay: Replay) -> str:
    """What is sent where, in a line. Pure."""
    spec = replay.spec
    known = spec.label or spec.dataset in BUNDLED
    source = spec.name if known else f"upload {Path(spec.dataset).stem[:8]}"
    where = "through the split"
    if spec.mode is not ReplayMode.LIVE:
        where = f"all to {spec.predictor}" if spec.predictor else f"in pairs to {' and '.join(spec.arms)}"
    rows = f"{fmt.count(replay.total)} rows" + (f" in {spec.passes} passes" if spec.passes > 1 else "")
    return f"{source}, {rows}, {where}, {REWARDS[spec.reward.kind]} reward"


def progress_text(replay: Replay) -> str:
    """Rows, pace and time to go (or taken), in a line. Pure but for the clock."""
    parts = [f"{fmt.count(replay.done_rows)} of {fmt.count(replay.total)} rows"]
    if replay.state is JobState.QUEUED:
        return f"{parts[0]} · waiting for the worker"
    if replay.state is JobState.PAUSED:
        return f"{parts[0]} · paused"
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


def in_words(found: pd.DataFrame, replays: Sequence[Replay]) -> Styler:
    """The table of these replays with its numbers as they are written everywhere; sorting goes by the numbers
    themselves. Means of one reward have the same decimals."""
    whole: Callable[[Any], str] = fmt.count
    counts = [title for title in map(str, found) if title in ("Rows", "Failed") or title.endswith(": n")]
    means = [title for title in map(str, found) if title.endswith(": mean reward")]
    styled = found.style.format(dict.fromkeys(counts, whole))
    for kind in {r.spec.reward.kind for r in replays}:
        rows = [place for place, r in enumerate(replays) if r.spec.reward.kind is kind]
        places = fmt.decimals([value for title in means for value in found[title].iloc[rows].dropna()], 4)
        mean: Callable[[Any], str] = (
            partial(fmt.number, digits=4) if places is None else partial(fmt.fixed, places=places)
        )
        styled = styled.format(mean, subset=pd.IndexSlice[rows, means])
    return styled


def _in_order(counters: Sequence[ArmCounters], deployment: Deployment) -> list[ArmCounters]:
    """As the deployment names its arms; what nobody answered comes last."""
    return sorted(counters, key=lambda c: (not c.predictor, arms.position(deployment, c.predictor), c.predictor))
