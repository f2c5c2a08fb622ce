"""Sign-ins that somebody has ended: their other tabs, and copies of their cookie, are signed out with them.

Streamlit ends the tab in which somebody signs out and deletes the browser's cookie; a tab that is open already, or a
cookie that was copied, would go on. Known to this process alone, for as long as a sign-in can last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

KEPT_S = 31 * 24 * 3600
"""Longer than Streamlit keeps a cookie (30 days)."""

_ended: dict[tuple[str, ...], float] = {}
_lock = threading.Lock()


def end(claims: Mapping[str, Any]) -> None:
    """From now on nobody is let in with this sign-in."""
    now = time.time()
    with _lock:
        for old in [mark for mark, at in _ended.items() if now - at > KEPT_S]:
            del _ended[old]
        _ended[_mark(claims)] = now


def holds(claims: Mapping[str, Any]) -> bool:
    """Whether this very sign-in was ended; another one of the same person is not."""
    with _lock:
        return _mark(claims) in _ended


def _mark(claims: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(claims.get(claim, "")) for claim in ("iss", "sub", "iat", "nonce", "jti"))
