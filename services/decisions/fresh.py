"""Whether the evidence still says what somebody saw when they made up their mind."""

from __future__ import annotations

from typing import Protocol

from services.errors import Conflict, DecantError
from services.verdict import words
from services.verdict.model import Assessment, Light


class Assess(Protocol):
    """Assesses a test of a deployment; without a number the one that runs, else the newest."""

    def __call__(self, namespace: str, deployment: str, test_id: int | None = None, /) -> Assessment: ...


class VerdictChanged(Conflict):
    """A decision was about to be taken on a verdict that is not the verdict any more. `now` is what there is now."""

    def __init__(self, change: str, now: Assessment) -> None:
        DecantError.__init__(self, change, "Look again, then decide.")
        self.what, self.change, self.now = f"The verdict of test {now.test.id}", change, now


def check_unchanged(seen: Assessment, now: Assessment) -> None:
    """Raises VerdictChanged if the call, or which checks are red, is not what was seen. Numbers may move."""
    if seen.call is not now.call:
        change = f"it was {seen.call.value}, it is {now.call.value}"
        raise VerdictChanged(f"The verdict changed while you were reading: {change}.", now)
    before, after = _red(seen), _red(now)
    if before.keys() != after.keys():
        appeared = [f"“{title}”" for key, title in after.items() if key not in before]
        gone = [f"“{title}”" for key, title in before.items() if key not in after]
        said = [f"{words.listed(appeared)} turned red"] if appeared else []
        said += [f"{words.listed(gone)} {'are' if len(gone) > 1 else 'is'} no longer red"] if gone else []
        raise VerdictChanged(f"The checks changed while you were reading: {words.listed(said)}.", now)


def _red(assessment: Assessment) -> dict[str, str]:
    """Key and title of the checks that are red."""
    return {check.key: check.title for check in assessment.checks if check.light is Light.RED}
