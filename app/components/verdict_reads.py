"""What the Verdict page asks, remembered for a moment like all that pages read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.reads import remembered

if TYPE_CHECKING:
    from services.factory import Services
    from services.verdict.model import Assessment
    from services.verdict.rule import ABTest, Rule


@remembered(1)
def assessment(backend: Services, namespace: str, name: str, test_id: int | None) -> Assessment:
    return backend.verdicts.assess(namespace, name, test_id)


@remembered(1)
def tests(backend: Services, namespace: str, name: str) -> Sequence[ABTest]:
    """Newest first."""
    return tuple(backend.verdicts.tests(namespace, name))


@remembered(5)
def proposal(backend: Services, namespace: str, name: str) -> Rule:
    return backend.verdicts.propose(namespace, name)
