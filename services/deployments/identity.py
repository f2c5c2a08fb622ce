"""Which engine this is, among all whose decisions and changes stand in one evidence store.

Several Decants may share a store: laptops with an engine each, or replicas before one cluster. What one of them has
begun on its engine, another with another engine cannot see, and must not finish or take back.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.files import write_once

INSTALLATION = "installation"
"""The file in the state folder with the id of the engine that belongs to it."""


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """`key` is the same for two Decants if their engine is; `words` say to a person which it is."""

    key: str
    words: str


Identify = Callable[[], EngineIdentity]
"""Says which engine this is. Raises Unavailable if a cluster does not answer that."""


def only() -> EngineIdentity:
    """Of an engine that shares its store with no other."""
    return EngineIdentity("", "the only engine")


def installation(folder: Path) -> EngineIdentity:
    """The engine of a state folder: by an id that is drawn once and moves with the folder, whatever the host's name."""
    key = write_once(folder / INSTALLATION, uuid.uuid4().hex).strip()
    return EngineIdentity(f"local/{key}", f"the local engine of installation {key[:8]} ({socket.gethostname()})")


def once(ask: Identify) -> Identify:
    """`ask` with its answer remembered; what it raises is not."""
    found: list[EngineIdentity] = []

    def identify() -> EngineIdentity:
        if not found:
            found.append(ask())
        return found[0]

    return identify
