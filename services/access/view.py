"""A part of the services as one person may use it: the one gate that every change of a browser session goes through.

The gate is in front of the parts, not inside them, so that what a part does by itself (settling an intent, carrying out
a decision that a lead took) does not ask again. It is closed by default: see services.access.rights.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from services.access.rights import READS
from services.domain import Person
from services.errors import Forbidden

log = logging.getLogger(__name__)

T = TypeVar("T")


def seen_by(person: Person, part: str, member: T) -> T:
    """`member`, which is the part `part` of the services, for `person`. It passes for the real thing.

    A viewer's calls raise Forbidden unless they only read. A lead's changes must be in the lead's own name.
    """
    return cast(T, _Seen(person, part, member))


class _Seen:
    """Stands in front of a part. Has no state of its own, so it is as thread-safe as the part."""

    def __init__(self, person: Person, part: str, member: object) -> None:
        self.__person, self.__part, self.__member = person, part, member

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self.__part} has no {name} for others")
        value = getattr(self.__member, name)
        inner = f"{self.__part}.{name}"
        if inner in READS:
            return seen_by(self.__person, inner, value)
        if name in READS.get(self.__part, ()):
            return value
        if not self.__person.may_change:
            return functools.partial(_refuse, self.__person, inner)
        return _in_own_name(self.__person, value) if callable(value) else value


def _refuse(person: Person, what: str, *_arguments: object, **_named: object) -> None:
    log.warning("refused: %s (%s) asked for %s", person.name, person.role, what)
    raise Forbidden(
        f"{person.name or 'A viewer'} may look at everything and change nothing.",
        "Ask a lead to do it, or to make you one: DECANT_LEADS, or the role that DECANT_ROLES_CLAIM names.",
    )


def _in_own_name(person: Person, act: Callable[..., T]) -> Callable[..., T]:
    """`act`, refused where the note or `who` that goes with it names somebody else."""

    @functools.wraps(act)
    def checked(*arguments: Any, **named: Any) -> T:
        note = named.get("note")
        who = named.get("who") if note is None else note.who
        if who is not None and who != person.name:
            raise Forbidden(
                f"The change would be written down as {who}'s, but it is {person.name} who asks for it.",
                "Open the page anew.",
            )
        return act(*arguments, **named)

    return checked
