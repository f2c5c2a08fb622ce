"""Colours: readable on their background, distinct from each other, bound to a position."""

from __future__ import annotations

import tomllib

import pytest

from app import theme
from services.settings import ROOT


def _luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", [*theme.DARK, theme.TOTAL_DARK])
def test_dark_colours_reach_three_to_one(color):
    assert contrast(color, theme.BACKGROUND_DARK) >= 3


@pytest.mark.parametrize("color", [c for c in (*theme.LIGHT, theme.TOTAL_LIGHT) if c != theme.GOLD])
def test_light_colours_reach_three_to_one(color):
    assert contrast(color, theme.BACKGROUND_LIGHT) >= 3


def test_gold_is_the_brand_and_nearly_there():
    assert contrast(theme.GOLD, theme.BACKGROUND_LIGHT) >= 2.5


def test_the_backgrounds_are_those_of_the_configuration():
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    assert configured["light"]["backgroundColor"] == theme.BACKGROUND_LIGHT
    assert configured["dark"]["backgroundColor"] == theme.BACKGROUND_DARK


@pytest.mark.parametrize(("mode", "wordmark"), [("light", theme.WORDMARK_LIGHT), ("dark", theme.WORDMARK_DARK)])
def test_text_on_buttons_and_the_wordmark_can_be_read(mode, wordmark):
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"][mode]
    assert contrast("#FFFFFF", configured["primaryColor"]) >= 4.5
    assert contrast(configured["primaryColor"], configured["backgroundColor"]) >= 3
    assert contrast(wordmark, configured["backgroundColor"]) >= 4.5
    assert wordmark in theme.logo(dark=mode == "dark")


def test_an_arm_keeps_its_colour_whoever_else_is_shown():
    assert theme.arm_colors(["a", "b", "c"], dark=False)["b"] == theme.arm_color(1, dark=False) == theme.GOLD
    assert len(set(theme.LIGHT)) == len(theme.LIGHT) == len(theme.DARK) == len(set(theme.DARK))
    assert theme.arm_color(len(theme.LIGHT), dark=False) == theme.BURGUNDY


def test_the_template_is_accepted_by_plotly():
    assert theme.chart_template(dark=True).layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert theme.faint("#7B1E3A", 0.2) == "rgba(123,30,58,0.2)"
