"""Choosing what a prediction earns, with the formula and, for the tutorial's, the warning that belongs to it."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from services.traffic.rewards import Reward, RewardKind

KINDS = (RewardKind.BOUNDED, RewardKind.HIT, RewardKind.TUTORIAL)


def draw_reward(default: Reward | None = None, *, key: str) -> Reward:
    """A select box and, for the bounded reward, its scale."""
    default = default or Reward(RewardKind.BOUNDED)
    left, right = st.columns([3, 2])
    kind = left.selectbox(
        "Reward",
        KINDS,
        index=KINDS.index(default.kind),
        format_func=lambda k: Reward(k).label,
        key=key,
    )
    scale = default.scale
    if kind is RewardKind.BOUNDED:
        scale = right.number_input(
            "Scale",
            min_value=1e-9,
            value=default.scale,
            format="%g",
            step=0.5,
            key=f"{key}-scale",
            help="The error that earns one half, in the unit of the target.",
        )
    return Reward(kind, scale)


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
