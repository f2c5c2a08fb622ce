"""The form that starts a replay: which rows, what they earn, where they go, how fast."""

from __future__ import annotations

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.one_request import describe_model
from app.components.reward_picker import draw_reward
from app.components.worker_notice import draw_worker_notice
from app.guard import boundary, escape
from app.wiring import services, who
from services.domain import Deployment, DeploymentStatus
from services.traffic.columns import check_columns
from services.traffic.datasets import BUNDLED, Dataset, save_upload
from services.traffic.replay import DEFAULT_CONCURRENCY, MAX_CONCURRENCY, ReplayMode, ReplaySpec
from services.traffic.rewards import default_reward

WINE, UPLOAD = "wine-quality", "upload"
WINE_TARGET = "quality"
SOURCES = {WINE: "Bundled: white wines (4,898 rows)", UPLOAD: "Upload a CSV or Parquet file"}
LIVE, ONE_ARM = "Through the split", "Everything to one arm"


def draw_replay_form(status: DeploymentStatus) -> None:
    """Draw it; “Start replay” submits a job."""
    deployment = status.deployment
    draw_worker_notice("A replay you start now waits until the worker is back.")
    with st.container(border=True):
        dataset = _choose_dataset()
        if dataset is None:
            return
        left, right = st.columns(2)
        target = left.selectbox(
            "Target (the truth)",
            dataset.columns,
            index=_likely_target(dataset),
            key=f"target-of-{dataset.digest}",
        )
        with right:
            default = default_reward(dataset.truths(target))
            reward = draw_reward(default, key=f"replay-reward-{dataset.digest}-{target}")
        if reward.warning:
            st.warning(escape(reward.warning), icon=":material/warning:")
        else:
            st.caption(f"Reward of a row with truth y and prediction f: {escape(reward.formula)}")
        fits = _draw_fit(dataset, target, deployment)
        mode, predictor = _choose_arms(deployment)
        rows, rate, concurrency = _choose_pace(dataset)
        start = st.button("Start replay", type="primary", icon=":material/play_arrow:", disabled=not fits)
    if start:
        with boundary("The replay"):
            spec = ReplaySpec(
                namespace=deployment.namespace,
                deployment=deployment.name,
                dataset=dataset.name if dataset.name in BUNDLED else str(dataset.path),
                target=target,
                reward=reward,
                mode=mode,
                predictor=predictor,
                rows=rows,
                rate=rate,
                concurrency=concurrency,
            )
            replay = services().replays.submit(spec, who=who())
            state.write(state.Param.REPLAY, str(replay.id))
            st.toast(f"Replay {replay.id} is on its way: {fmt.count(replay.total)} rows.", icon=":material/play_arrow:")


def _choose_dataset() -> Dataset | None:
    source = st.selectbox(
        "Data", list(SOURCES), format_func=SOURCES.__getitem__, key="replay-source", persist_state="session"
    )
    if source == WINE:
        return reads.dataset(WINE)
    settings = services().settings
    given = st.file_uploader(
        "A table with one row per request and the truth in one column",
        type=["csv", "parquet"],
        max_upload_size=settings.max_upload_mb,
        key="replay-upload",
    )
    with boundary("The upload"):
        if given is not None:
            # The path outlives the browser's upload, so that the choice survives a look at another page.
            st.session_state["replay-upload-path"] = str(save_upload(settings, given.name, given.getvalue()))
            st.session_state["replay-upload-name"] = given.name
        path = st.session_state.get("replay-upload-path")
        if path:
            dataset = reads.dataset(path)
            name = st.session_state.get("replay-upload-name", dataset.name)
            st.caption(f"{escape(name)}: {fmt.count(dataset.rows)} rows, {len(dataset.columns)} columns")
            return dataset
    st.caption(f"Up to {settings.max_upload_mb} MiB. The first line of a CSV holds the names of the columns.")
    return None


def _likely_target(dataset: Dataset) -> int:
    """By custom the truth is the last column."""
    columns = dataset.columns
    return columns.index(WINE_TARGET) if WINE_TARGET in columns else len(columns) - 1


def _draw_fit(dataset: Dataset, target: str, deployment: Deployment) -> bool:
    model = describe_model(deployment, "So the columns of the data cannot be checked before the replay.")
    if model is None:
        return True
    fit = check_columns(dataset.frame, target, model.signature, dataset.place)
    if fit.problems:
        st.error("**This data does not fit the model.**  \n" + "  \n".join(map(escape, fit.problems)))
    elif not fit.notes and model.signature.columns:
        st.caption(f":material/check: All {len(model.signature.columns)} columns that the model wants are there.")
    for note in fit.notes:
        st.caption(f":material/info: {escape(note)}")
    return not fit.problems


def _choose_arms(deployment: Deployment) -> tuple[ReplayMode, str | None]:
    left, right = st.columns(2)
    with left:
        mode = st.segmented_control(
            "Where to", [LIVE, ONE_ARM], default=LIVE, required=True, key="replay-mode", persist_state="session"
        )
    names = [p.name for p in deployment.predictors]
    if mode == LIVE:
        left.caption(f"As live traffic goes: {deployment.split}.")
        return ReplayMode.LIVE, None
    predictor = right.selectbox("Arm", names, key=f"replay-arm-{deployment.key}")
    return ReplayMode.PINNED, predictor


def _choose_pace(dataset: Dataset) -> tuple[int | None, float | None, int]:
    rows_box, rate_box, concurrency_box = st.columns(3)
    rows = rows_box.number_input(
        "Rows, from the first",
        1,
        dataset.rows,
        min(1000, dataset.rows),
        step=100,
        key=f"replay-rows-{dataset.digest}",
        help=f"The data has {dataset.rows:,}.",
    )
    rate = rate_box.number_input(
        "At most rows/s",
        min_value=0.1,
        value=None,
        step=10.0,
        format="%g",
        placeholder="as fast as it goes",
        key="replay-rate",
        persist_state="session",
    )
    concurrency = concurrency_box.number_input(
        "Requests at once", 1, MAX_CONCURRENCY, DEFAULT_CONCURRENCY, key="replay-concurrency", persist_state="session"
    )
    return int(rows), rate, int(concurrency)
