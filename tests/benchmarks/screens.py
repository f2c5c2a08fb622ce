"""How long the server works on one rerun of each page, warm, against a full installation."""

from __future__ import annotations

import time
from statistics import median

import streamlit as st
from streamlit.testing.v1 import AppTest

from app import wiring
from services.settings import ROOT
from tests.benchmarks.report import Line
from tests.support.system import System

PAGES = ("overview", "runs", "deploy", "traffic", "monitor", "verdict")
RERUNS = 15
PROMISED_MS = 150


def measure(system: System, namespace: str, deployment: str) -> list[Line]:
    """Median of the reruns after a warm-up, with a deployment chosen, as `AppTest` runs the real entry point."""
    wiring.use_builder(lambda: system.services)
    try:
        return [_page(page, namespace, deployment) for page in PAGES]
    finally:
        wiring.use_builder(None)
        st.cache_data.clear()


def _page(page: str, namespace: str, deployment: str) -> Line:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60)
    app.query_params["deployment"] = f"{namespace}/{deployment}"
    app.run()
    app.switch_page(f"../pages/{page}.py").run()
    for _ in range(2):
        app.run()
    took_ms = []
    for _ in range(RERUNS):
        began = time.perf_counter()
        app.run()
        took_ms.append(1000 * (time.perf_counter() - began))
    if app.exception:
        raise RuntimeError(f"{page}: {app.exception[0].message}")
    middle = median(took_ms)
    return Line(
        f"rerun of {page.capitalize()}, median (worst)",
        f"{middle:.0f} ms ({max(took_ms):.0f} ms)",
        "",
        "",
        f"below {PROMISED_MS} ms",
        middle < PROMISED_MS,
    )
