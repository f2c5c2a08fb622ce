"""What charts over time have in common: the axis in a person's own time, the marks of changes, text for labels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from app import format as fmt
from app import theme

MARKS_AXIS = {"range": [0, 1], "overlaying": "y", "visible": False, "fixedrange": True}
"""The second axis of height 1 on which marks stand."""


def local_time(at: datetime, zone: tzinfo | None) -> str:
    """As Plotly takes it: it draws wall-clock time as written, so the zone is applied here and then left out."""
    return fmt.aware(at).astimezone(zone or UTC).strftime("%Y-%m-%d %H:%M:%S")


def label_text(text: str) -> str:
    """Plotly's labels understand a few HTML tags; names and reasons typed by people must not become any."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def time_axis(begin: str, end: str) -> dict[str, Any]:
    """From and to times of `local_time`; seconds where they can be told apart, days where hours cannot."""
    return {
        "type": "date",
        "range": [begin, end],
        "hoverformat": "%H:%M:%S",
        "showgrid": False,
        "nticks": 7,
        "tickformatstops": [
            {"dtickrange": [None, 59_000], "value": "%H:%M:%S"},
            {"dtickrange": [59_000, 43_200_000], "value": "%H:%M"},
            {"dtickrange": [43_200_000, None], "value": "%-d %b"},
        ],
    }


WHOLE = ((0.0, 1.0),)
AROUND_WORDS = ((0.0, 0.3), (0.7, 1.0))
"""Which heights of a chart its marks cross: all, or what the words in the middle of an empty one leave."""


def change_marks(
    found: Sequence[tuple[Any, str, str, str]], heights: Sequence[tuple[float, float]] = WHOLE
) -> dict[str, Any]:
    """Vertical lines on an axis of their own (`MARKS_AXIS`), as one trace; each hovers with who did what and why.

    Args:
        found: (x, who, what, why) of each change.
    """
    x: list[Any] = []
    y: list[float | None] = []
    texts: list[str] = []
    for at, who, what, why in found:
        text = label_text(f"{who}: {what}" + (f" — {why}" if why else ""))
        for low, high in heights:
            x += [at, at, None]
            y += [low, high, None]
            texts += [text, text, ""]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "change",
        "x": x,
        "y": y,
        "yaxis": "y2",
        "text": texts,
        "line": {"color": theme.TOTAL_LIGHT, "width": 1.5, "dash": "4px,3px"},
        "meta": {"dark": theme.TOTAL_DARK},
        "hovertemplate": "%{text}<extra></extra>",
    }
