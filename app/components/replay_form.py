"""The form that starts a replay: which rows, what they earn, where they go, how fast; and a look before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import format as fmt
from app import reads, state
from app.components.one_request import say_unfound
from app.components.replay_options import choose_arms, choose_rows
from app.components.replay_preview import draw_preview, look_button
from app.components.replay_source import choose_source
from app.components.reward_picker import draw_any_reward, explain_reward
from app.components.rights import leads_only
from app.components.way_note import draw_way_note
from app.components.worker_notice import draw_worker_notice
from app.guard import boundary, escape
from app.wiring import services, who
from services.domain import Deployment, DeploymentStatus
from services.errors import InvalidInput
from services.jobs.replay_columns import signatures_of
from services.traffic.columns import check_arms
from services.traffic.datasets import Dataset
from services.traffic.order import rows_to_send
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.reward_check import check_reward, truths_words
from services.traffic.rewards import Reward, default_reward

WINE_TARGET = "quality"
SCALE_HELP = (
    "The error that earns one half, in the unit of the target. The preview suggests one from the champion's errors; "
    "it is frozen into the replay."
)


def draw_replay_form(status: DeploymentStatus) -> None:
    """Draw it; “Start replay” submits a job."""
    if not leads_only("Sending replays"):
        return
    deployment = status.deployment
    draw_worker_notice("A replay you start now waits until the worker is back.")
    draw_way_note(deployment)
    with st.container(border=True):
        source, beside = choose_source()
        if source is None:
            return
        dataset = source.dataset
        target = beside.selectbox(
            "Target (the truth)", dataset.columns, index=_likely_target(dataset), key=f"target-of-{dataset.digest}"
        )
        key = f"replay-reward-{dataset.digest}-{target}"
        usual = _reward_of_test(deployment) or default_reward(dataset.truths(target))
        reward = draw_any_reward(usual, key=key, scale_help=SCALE_HELP)
        ready = reward is not None
        if reward is not None:
            explain_reward(reward)
            ready = _draw_reward_fit(reward, dataset, target)
        fit = st.container()
        arms = choose_arms(deployment)
        with fit:
            ready = _draw_fit(dataset, target, deployment, arms or {}) and ready
        rows = choose_rows(dataset)
        with st.container(horizontal=True, vertical_alignment="center"):
            start = st.button(
                "Start replay",
                type="primary",
                icon=":material/play_arrow:",
                disabled=not (ready and arms),
            )
            look = look_button(disabled=not (ready and arms))
        if reward is None or arms is None or not ready:
            return
        _draw_unlike(deployment, reward, arms["mode"])
        spec = ReplaySpec(
            namespace=deployment.namespace,
            deployment=deployment.name,
            dataset=source.reference,
            target=target,
            reward=reward,
            label=source.label,
            **arms,
            **rows,
        )
        with boundary("The A/B test"):
            if said := services().verdicts.repeats(spec, dataset.digest, rows_to_send(spec, dataset.rows)):
                st.warning(escape(said), icon=":material/repeat:")
        with boundary("The preview"):
            draw_preview(spec, deployment, dataset.digest, look=look, reward_key=key)
    if start:
        with boundary("The replay"):
            replay = services().replays.submit(spec, who=who())
            state.write(state.Param.REPLAY, str(replay.id))
            st.toast(f"Replay {replay.id} is on its way: {fmt.count(replay.total)} rows.", icon=":material/play_arrow:")


def _reward_of_test(deployment: Deployment) -> Reward | None:
    """That of the test that runs, so that what is sent counts in it."""
    with boundary("The A/B test"):
        test = services().verdicts.running(deployment.namespace, deployment.name)
        return test.rule.reward if test is not None else None
    return None


def _draw_unlike(deployment: Deployment, reward: Reward, mode: ReplayMode) -> None:
    if mode is ReplayMode.PINNED:  # no evidence in any test
        return
    with boundary("The A/B test"):
        live = mode is ReplayMode.LIVE
        if said := services().verdicts.unlike(deployment.namespace, deployment.name, reward, live=live):
            st.warning(escape(said), icon=":material/balance:")


def _likely_target(dataset: Dataset) -> int:
    """By custom the truth is the last column."""
    columns = dataset.columns
    return columns.index(WINE_TARGET) if WINE_TARGET in columns else len(columns) - 1


def _draw_reward_fit(reward: Reward, dataset: Dataset, target: str) -> bool:
    truths = dataset.truths(target)
    try:
        note = check_reward(reward, truths)
    except InvalidInput as error:
        st.error(f"**{escape(error.sentence)}**  \n{escape(error.hint)}")
        return False
    for words in filter(None, (truths_words(truths, target), note)):
        st.caption(f":material/info: {escape(words)}")
    return True


def _draw_fit(dataset: Dataset, target: str, deployment: Deployment, where: Mapping[str, Any]) -> bool:
    live = tuple(predictor.name for predictor in deployment.predictors if not predictor.shadow)
    arms = where.get("arms") or ((where["predictor"],) if where.get("predictor") else live)
    found, trouble = signatures_of(deployment, arms, lambda address: reads.model(address).signature)
    if not found:
        say_unfound(trouble, "So the columns of the data cannot be checked before the replay.")
        return True
    together = where.get("mode") is ReplayMode.LIVE
    fit = check_arms(dataset.frame, target, found, dataset.place, together=together)
    if fit.problems:
        st.error("**This data does not fit the model.**  \n" + "  \n".join(map(escape, fit.problems)))
    elif (wanted := {len(signature.columns) for signature in found.values()}) and all(wanted):
        number = f" {fmt.count(wanted.pop())}" if len(wanted) == 1 else ""
        whose = "model wants" if number else "models want"
        st.caption(f":material/check: All{number} columns that the {whose} are there.")
    for note in fit.notes:
        st.caption(f":material/info: {escape(note)}")
    return not fit.problems
