"""Who asks: a name, and whether that person may change the world."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
