"""The four numbers over the Monitor page: rate, success, 4xx, 5xx; each with its n and its window."""

from __future__ import annotations

import streamlit as st

from app import format as fmt
from services.metrics.model import Tiles


def draw_tiles(tiles: Tiles) -> None:
    """Always four tiles of one height, with dashes where nothing was measured."""
    over = f"last {fmt.duration(tiles.window_s)}"
    mean = f"mean {fmt.rate(tiles.rate)}" if tiles.n else "no predictions"
    rows = (
        ("Requests now", fmt.rate(tiles.rate_now), f"{mean} · {over}"),
        ("Success", fmt.percent(tiles.success_ratio, 2), f"n {fmt.count(tiles.n)} · {over}"),
        ("Client errors 4xx", *_failed(tiles, tiles.rate_4xx, over)),
        ("Server errors 5xx", *_failed(tiles, tiles.rate_5xx, over)),
    )
    for column, (label, value, caption) in zip(st.columns(4), rows, strict=True):
        with column.container(border=True, gap=None):
            st.metric(label, value)
            st.caption(caption)


def _failed(tiles: Tiles, rate: float | None, over: str) -> tuple[str, str]:
    """Value and caption of a tile of errors."""
    if rate is None:
        return fmt.NONE, f"n 0 · {over}"
    count = round(rate * tiles.window_s)
    return fmt.rate(rate), f"{fmt.count(count)} of {fmt.count(tiles.n)} · {over}"
