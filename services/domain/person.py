"""Who asks: a name, and whether that person may change the world."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from services.errors import Forbidden

RESERVED = "system:"
"""How the names begin that a Kubernetes cluster keeps for its own parts, which may do nearly everything in it."""
_NO_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, halves of characters, and breaks of lines and paragraphs."""


class Role(StrEnum):
    """A viewer reads everything and changes nothing; a lead changes things."""

    VIEWER = "viewer"
    LEAD = "lead"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the dashboard, or the operator of the machine. `name` is what the history writes beside a change."""

    name: str
    role: Role

    @property
    def may_change(self) -> bool:
        return self.role is Role.LEAD


def check_person(name: str) -> None:
    """Raises Forbidden for a name that no person has: a cluster's own part, or one with control characters in it."""
    if any(unicodedata.category(sign) in _NO_NAME for sign in name):
        raise Forbidden(
            f"{name!r} is no name of a person: it has line breaks or control characters in it.",
            "Correct the name at the identity provider, or DECANT_USER.",
        )
    if name.strip().casefold().startswith(RESERVED):
        raise Forbidden(
            f"Nobody acts as {name} through Decant: names that begin with {RESERVED} belong to the cluster itself.",
            "Sign in under a person's name, or set DECANT_NAME_CLAIM to a claim that holds one; on the command line "
            "set DECANT_USER.",
        )
