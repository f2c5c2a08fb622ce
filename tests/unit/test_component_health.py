"""The line about a part that does not answer."""

from __future__ import annotations

from app.components.health import line
from services.health import PartHealth


def test_the_part_is_named_once_and_the_hint_follows() -> None:
    down = PartHealth("Gateway", False, "The gateway does not answer.", "It restarts by itself.")
    assert line(down) == ":red[**The gateway does not answer.**] :gray[It restarts by itself.]"
    assert line(PartHealth("Seldon Core", False, "it is not installed")) == ":red[**Seldon Core**] it is not installed"
