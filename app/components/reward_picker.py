"""Choosing what a prediction earns: the catalogue with a sentence each, and what a kind needs beside its name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.guard import escape
from services.errors import InvalidInput
from services.traffic.rewards import LABELS, Reward, RewardKind

BRIEF = (RewardKind.BOUNDED, RewardKind.HIT, RewardKind.TUTORIAL)
"""For one request, where a reward is told to the arm: those that need a number at most and are never negative."""

CATALOGUE = tuple(RewardKind)
EXAMPLE = "exp(-abs(y - y_pred))"


def draw_reward(default: Reward | None = None, *, key: str) -> Reward:
    """The brief choice, and `default` should it be another: a select box and, for the bounded reward, its scale."""
    default = default or Reward(RewardKind.BOUNDED)
    return draw_any_reward(default, key=key, kinds=tuple(dict.fromkeys((*BRIEF, default.kind)))) or default


def draw_any_reward(
    default: Reward, *, key: str, kinds: Sequence[RewardKind] = CATALOGUE, scale_help: str = ""
) -> Reward | None:
    """A select box and beside it the scale or the formula, if the kind has one. None while a formula is unreadable."""
    left, right = st.columns(2)
    kind = left.selectbox("Reward", kinds, index=kinds.index(default.kind), format_func=LABELS.__getitem__, key=key)
    if kind is RewardKind.BOUNDED:
        scale = right.number_input(
            "Scale",
            min_value=1e-9,
            value=default.scale,
            format="%g",
            step=0.5,
            key=scale_key(key),
            help=scale_help or "The error that earns one half, in the unit of the target.",
        )
        return Reward(kind, scale)
    if kind is not RewardKind.FORMULA:
        return Reward(kind)
    text = right.text_input(
        "Formula over y and y_pred", value=default.expression or EXAMPLE, key=f"{key}-formula", max_chars=200
    )
    try:
        return Reward(kind, expression=text)
    except InvalidInput as error:
        st.error(f"{escape(error.sentence)}  \n{escape(error.hint)}")
        return None


def scale_key(key: str) -> str:
    """The session's key of the scale beside the select box `key`."""
    return f"{key}-scale"


def explain_reward(reward: Reward) -> None:
    """The sentence and the formula of a reward, or the warning that belongs to it."""
    if reward.warning:
        st.warning(escape(reward.warning), icon=":material/warning:")
        return
    own = reward.kind is RewardKind.FORMULA
    st.caption(escape(reward.sentence) + ("" if own else f"  \nFor truth y and prediction f: {escape(reward.formula)}"))


def read_truth(text: str) -> Any:
    """A true value typed by hand: a number or a boolean where it reads as one, else text; None when empty. Pure."""
    stripped = text.strip()
    if not stripped:
        return None
    try:
        value = json.loads(stripped)
    except ValueError:
        return stripped
    return value if isinstance(value, bool | int | float | str) else stripped
