"""How an arm is shown: a dot in its colour and its name. One look for every page."""

from __future__ import annotations

from html import escape

import streamlit as st

from app import format as fmt
from app import theme
from services.domain import Deployment, Phase

LETTERS = "ABCDEFGH"
PHASE_COLORS = {Phase.READY: "green", Phase.LOADING: "blue", Phase.PENDING: "gray", Phase.FAILED: "red"}
PHASE_ICONS = {
    Phase.READY: ":material/check_circle:",
    Phase.LOADING: ":material/hourglass_top:",
    Phase.PENDING: ":material/schedule:",
    Phase.FAILED: ":material/error:",
}


def position(deployment: Deployment, predictor: str) -> int:
    """Where the predictor stands in the deployment, which gives its colour; one it no longer has comes last."""
    names = [p.name for p in deployment.predictors]
    return names.index(predictor) if predictor in names else len(names)


def label(deployment: Deployment, predictor: str) -> str:
    """What a person calls the arm: `A`, or with a name of its own `A (cautious)`; the ending all names share is cut."""
    names = [p.name for p in deployment.predictors]
    short = fmt.short_arms(names).get(predictor, predictor)
    place = position(deployment, predictor)
    if place >= min(len(names), len(LETTERS)):
        return short
    return LETTERS[place] if short.upper() == LETTERS[place] else f"{LETTERS[place]} ({short})"


def dot(place: int, size_px: int = 12) -> str:
    """A filled circle in the arm's colour, as HTML."""
    return (
        f'<span style="display:inline-block;width:{size_px}px;height:{size_px}px;border-radius:50%;'
        f'background:{theme.arm_color(place)};margin-right:.45em"></span>'
    )


def draw_arm_title(place: int, name: str, detail: str = "") -> None:
    """`● A  name  detail`, with the letter left out when the name says it already."""
    letter = LETTERS[place] if place < len(LETTERS) else ""
    shown = letter if name.upper() == letter or not name else f"{letter} · {name}" if letter else name
    tail = f' <span style="opacity:.75;font-weight:400">{escape(detail)}</span>' if detail else ""
    st.html(f'<div style="font-weight:600;font-size:1.05rem">{dot(place)}{escape(shown)}{tail}</div>')


def draw_phase(phase: Phase, text: str = "") -> None:
    st.badge(text or phase.value, color=PHASE_COLORS[phase], icon=PHASE_ICONS[phase])  # type: ignore[arg-type]
