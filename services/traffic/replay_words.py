"""What a replay says of the arm it waits for. Pure."""

from __future__ import annotations

from services.domain.text import duration


def waiting_words(arm: str, silent_s: float, outage_s: float, entrance: str) -> str:
    """That an arm ("": `entrance`, in front of all) answers nothing, since when, and how long its rows wait."""
    who = f"Arm {arm}" if arm else entrance
    return (
        f"{who} has answered nothing for {long(round(silent_s))}. Rows wait for it, {long(outage_s)} at most; then the "
        "replay stops and can be resumed."
    )


def long(seconds: float) -> str:
    """A length of time: 0.5 s, 42 s, 30 min."""
    return f"{seconds:g} s" if seconds < 60 else duration(seconds)
