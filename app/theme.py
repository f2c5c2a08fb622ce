"""The colours of the arms and the look of the charts: one colour per position, the same on every page.

An arm's position is its place in the deployment's list of predictors (shadow included), so moving traffic or filtering
a chart never repaints anything. In the dark theme each colour has a lighter twin; all reach a contrast of 3:1 on their
background (WCAG's limit for graphics), except gold on white, whose lines are drawn wide and labelled.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

BURGUNDY = "#7B1E3A"
GOLD = "#C8963E"
LIGHT = (BURGUNDY, GOLD, "#2F6F8F", "#4E7D3A", "#7A5AA6", "#B5533C")
DARK = ("#D9708F", "#E0B25F", "#6FB3D3", "#8FBF77", "#B39BDB", "#E58A72")
TOTAL_LIGHT, TOTAL_DARK = "#77706F", "#A39C9B"
BACKGROUND_LIGHT, BACKGROUND_DARK = "#FFFFFF", "#171416"

WORDMARK_LIGHT, WORDMARK_DARK = "#9A3358", DARK[0]
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 132 36" width="132" height="36">'
    '<path d="M13 3h8v9c0 3 9 8 9 15 0 4-3 6-6 6H10c-3 0-6-2-6-6 0-7 9-12 9-15z" fill="none" stroke="#B0476B" '
    'stroke-width="2.4"/><path d="M5.500 25.500h23c.6 4-1.800 6-4.500 6H10c-2.700 0-5.100-2-4.500-6z" fill="#C8963E"/>'
    '<text x="41" y="26" font-family="Source Sans, Source Sans Pro, sans-serif" font-size="23" font-weight="600" '
    'fill="#B0476B">Decant</text></svg>'
)

STYLE = """<style>
[data-testid=stCaptionContainer] { opacity: 1; color: color-mix(in srgb, currentColor 75%, transparent); }
[data-testid=stButtonGroup] button[data-variant][data-selected=true],
[data-testid=stSlider] [data-testid=stSliderThumbValue] { color: inherit; }
@media (max-width: 1023px) {
  [data-testid=stHeader] [data-testid=stTopNav] ~ div { width: 6rem; min-width: 6rem; }
  [class*=st-key-card-] [data-testid=stPageLink] a { padding-inline: .25rem; }
}
</style>"""
"""Text that can be read: Streamlit makes a whole caption 60 % opaque, its coloured words, code and links too, and
writes what is selected in the primary colour, which is made for white text on it and too dark on a dark page.

Room for the pages: Streamlit keeps 200 px at the right of its header free and folds pages into "2 more" for that at
800 px. Its menu and the sign of a running page need less than half of it. A card's links fit one line with less room
around them."""


def logo(dark: bool | None = None) -> str:
    """The mark and the name, in the colour that can be read on the theme's background."""
    return LOGO.replace("#B0476B", WORDMARK_DARK if (is_dark() if dark is None else dark) else WORDMARK_LIGHT)


def is_dark() -> bool:
    """Whether the person's browser shows the dark theme (False until it is known)."""
    return st.context.theme.type == "dark"


def arm_color(position: int, dark: bool | None = None) -> str:
    """The colour of the arm at `position` (0 is A, 1 is B); positions beyond the palette begin again."""
    palette = DARK if (is_dark() if dark is None else dark) else LIGHT
    return palette[position % len(palette)]


def arm_colors(predictors: Sequence[str], dark: bool | None = None) -> dict[str, str]:
    """Colour by predictor name; `predictors` in the order of the deployment."""
    dark = is_dark() if dark is None else dark
    return {name: arm_color(position, dark) for position, name in enumerate(predictors)}


def total_color(dark: bool | None = None) -> str:
    """The neutral grey of totals."""
    return TOTAL_DARK if (is_dark() if dark is None else dark) else TOTAL_LIGHT


def faint(color: str, alpha: float) -> str:
    """`color` (#RRGGBB) as rgba with `alpha`, for bands and marks."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def chart_template(dark: bool | None = None) -> go.layout.Template:
    """Plotly template: transparent, calm grid, text large enough for a projector."""
    dark = is_dark() if dark is None else dark
    ink, grid = ("#EFE9EA", "rgba(255,255,255,.10)") if dark else ("#2A2426", "rgba(0,0,0,.08)")
    axis = {
        "gridcolor": grid,
        "zeroline": False,
        "linecolor": grid,
        "tickfont": {"size": 13, "color": ink},
        "title": {"font": {"size": 13, "color": ink}},
        "automargin": False,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 14, "color": ink},
            "xaxis": axis,
            "yaxis": axis,
            "colorway": list(DARK if dark else LIGHT),
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 13}},
            "hovermode": "x unified",
            "margin": {"l": 56, "r": 12, "t": 34, "b": 32},
        }
    )
