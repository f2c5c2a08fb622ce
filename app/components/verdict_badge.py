"""The verdict as a badge on a deployment's card: what was last known, at once; a thread of its own asks anew.

An assessment reads the ledger and Prometheus, which may take its time. A card must not wait for it, least of all when a
part is silent; so the first drawing of a card has no badge, and the refresh after it has one.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import streamlit as st

from app.guard import escape
from services.errors import DecantError
from services.verdict.model import Assessment, Call

if TYPE_CHECKING:
    from services.factory import Services

logger = logging.getLogger(__name__)

FRESH_S = 15.0
LOOKS = {
    Call.SHIP: ("green", ":material/arrow_circle_up:"),
    Call.KEEP: ("blue", ":material/shield:"),
    Call.RUNNING: ("gray", ":material/hourglass_top:"),
    Call.DISTRUST: ("red", ":material/warning:"),
}

_POOL = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verdict-badge")
_lock = threading.Lock()
_known: dict[tuple[str, str], tuple[object, float, Assessment | None]] = {}
_asked: set[tuple[str, str]] = set()


def latest(backend: Services, namespace: str, name: str) -> Assessment | None:
    """The verdict on the running test as last known; None without one, or when nobody has asked before."""
    key = (namespace, name)
    with _lock:
        whose, until, found = _known.get(key, (None, 0.0, None))
        if whose is not backend:
            found, until = None, 0.0
        if until < time.monotonic() and key not in _asked:
            _asked.add(key)
            _POOL.submit(_ask, backend, namespace, name).add_done_callback(_report)
    return found


def draw_badge(found: Assessment | None) -> None:
    if found is None:
        return
    color, icon = LOOKS[found.call]
    st.badge(found.call.value, icon=icon, color=color, help=escape(found.headline))  # type: ignore[arg-type]


def _ask(backend: Services, namespace: str, name: str) -> None:
    found = None
    try:
        tests = backend.verdicts.tests(namespace, name)
        if tests and tests[0].running:
            found = backend.verdicts.assess(namespace, name, tests[0].id)
    except DecantError as error:  # the Verdict page says it in full
        logger.info("no verdict for the card of %s/%s: %s", namespace, name, error)
    finally:
        with _lock:
            _asked.discard((namespace, name))
            _known[namespace, name] = (backend, time.monotonic() + FRESH_S, found)


def _report(done: Future[None]) -> None:
    if error := done.exception():
        logger.error("a badge could not be made", exc_info=error)
