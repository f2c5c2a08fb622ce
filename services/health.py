"""Which of the parts behind Decant answer right now, and what to do about one that does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from services.errors import DecantError

log = logging.getLogger(__name__)

DEADLINE_S = 1.5
Check = Callable[[], str]
"""Returns a detail in words when the part answers, raises DecantError when it does not."""


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One part: whether it answers, and in words what it said or what to do."""

    part: str
    ok: bool
    detail: str = ""
    hint: str = ""


class HealthChecks:
    """Asks every part at once. A part that takes longer than DEADLINE_S counts as silent."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._pool = ThreadPoolExecutor(max_workers=2 * len(self._checks), thread_name_prefix="health")

    def all(self) -> list[PartHealth]:
        """In a fixed order, so that a page can draw it without jumping."""
        asked = {part: self._pool.submit(check) for part, check in self._checks.items()}
        wait(asked.values(), timeout=DEADLINE_S)
        return [_judge(part, answer) for part, answer in asked.items()]

    def one(self, part: str) -> PartHealth:
        return next(health for health in self.all() if health.part == part)


def _judge(part: str, answer: Future[str]) -> PartHealth:
    if not answer.done():
        answer.cancel()
        return PartHealth(part, False, f"no answer within {DEADLINE_S:g} s", "It may be starting or overloaded.")
    error = answer.exception()
    if error is None:
        return PartHealth(part, True, answer.result())
    if isinstance(error, DecantError):
        return PartHealth(part, False, error.sentence, error.hint)
    log.error("the health check of %s failed", part, exc_info=error)
    return PartHealth(part, False, f"its check failed: {error}", "See the log.")
