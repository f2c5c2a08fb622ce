"""The guided A/B test: the steps of the story, ticked off by what is really there, never by clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.links import page_link
from app.state import Param


@dataclass(frozen=True, slots=True)
class Progress:
    """What is really there, as far as the parts that answer can tell."""

    trained: int  # finished runs with a model
    deployment: str = ""  # namespace/name of the one to go on with
    live_arms: int = 0
    predictions: int = 0
    challenger_percent: int = 0
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    page: str
    action: str
    done: bool
    view: tuple[Param, str] | None = None  # of the page


def steps(progress: Progress) -> list[Step]:
    """The story in order. A later step may be done before an earlier one; the first open one is next."""
    p = progress
    return [
        Step("Train two models", "runs", "Train on the Runs page", p.trained >= 2, (Param.RUNS_VIEW, "Train")),
        Step("Deploy the first as A", "deploy", "Deploy A", p.live_arms >= 1),
        Step("Send it a request", "traffic", "Send a request", p.predictions > 0),
        Step("Add the other as B", "deploy", "Add B", p.live_arms >= 2),
        Step("Move some traffic to B", "deploy", "Move the split", p.live_arms >= 2 and p.challenger_percent > 0),
        Step(
            "Replay the wine data with rewards", "traffic", "Start a replay", p.replays > 0, (Param.SENDING, "Replay")
        ),
    ]


def draw_guide(progress: Progress) -> None:
    """The checklist, with a link at the step that comes next; after the last one, to the charts."""
    todo = steps(progress)
    params = {Param.DEPLOYMENT: progress.deployment} if progress.deployment else {}
    following = next((step for step in todo if not step.done), None)
    with st.container(border=True, key="guide", gap="xsmall"):
        st.markdown(f"##### Guided A/B test &nbsp; :gray[{sum(s.done for s in todo)} of {len(todo)} done]")
        for number, step in enumerate(todo, start=1):
            _draw_step(number, step, step is following, params)
        if following is None:
            page_link("verdict", "Read the verdict", params)
            page_link("monitor", "Compare the arms on the Monitor page", params)


def _draw_step(number: int, step: Step, following: bool, params: dict[Param, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if step.done:
            st.markdown(f":green[:material/check_circle:] :gray[{number}. {step.title}]", width="content")
        elif following:
            st.markdown(f":material/arrow_forward: **{number}. {step.title}**", width="content")
            page_link(step.page, step.action, params | dict([step.view] if step.view else []))
        else:
            st.markdown(f":gray[:material/radio_button_unchecked: {number}. {step.title}]", width="content")


def challenger(shares: Sequence[int]) -> int:
    """The share of the second arm, the challenger; 0 without one."""
    return shares[1] if len(shares) > 1 else 0
