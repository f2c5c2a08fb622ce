"""The parts of the world that a decision touches, and how to tell what was done to them from what was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.decisions.reports import Reports
from services.deployments.engine import Engine
from services.deployments.history_text import NOTHING, manifest_text
from services.deployments.identity import Identify
from services.domain import Change, DeploymentStatus
from services.errors import NotFound, Unavailable
from services.evidence.decision_table import DecisionRecord
from services.evidence.tests_table import ABTestRecord
from services.operations import Operations
from services.tracking.registry import Registry


class Tests(Protocol):
    """The tests that are decided on."""

    def get(self, test_id: int) -> ABTestRecord:
        """Raises NotFound."""
        ...

    def conclude(self, test_id: int, why: str) -> None:
        """End a test by a decision, also one that a look at the replaced model has ended already."""
        ...


class Trail(Protocol):
    """The history of changes."""

    def record_change(self, change: Change) -> Change: ...

    def changes(
        self,
        namespace: str | None = None,
        deployment: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[Change]: ...


@dataclass(frozen=True, slots=True)
class World:
    """Where the steps read and write. `reports` holds the rendered reports; `identity` tells this engine."""

    engine: Engine
    operations: Operations
    registry: Registry
    tests: Tests
    trail: Trail
    reports: Reports
    identity: Identify

    def elsewhere(self, record: DecisionRecord) -> str:
        """Why a decision is not ours to go on with: it was begun on another engine; "" for one of this one's.

        Those from before decisions named their engine are taken to be ours.
        """
        begun, words = record.evidence.get("engine", ""), record.evidence.get("engine_words", "another engine")
        if not begun:
            return ""
        try:
            ours = self.identity()
        except Unavailable as error:
            return f"Whether it was begun on this engine cannot be told now: {error.sentence}"
        if begun == ours.key:
            return ""
        return f"It was begun on {words}. This Decant stands before {ours.words} and leaves it alone."

    def status(self, namespace: str, name: str) -> DeploymentStatus | None:
        """The deployment as it is; None if it is gone or going."""
        try:
            found = self.engine.get(namespace, name)
        except NotFound:
            return None
        return None if found.deleting else found

    def entries(self, record: DecisionRecord, what: str) -> list[Change]:
        """What the history has of one kind since the decision was taken, newest first; settles what is pending."""
        self.operations.history(record.namespace, record.deployment, limit=1)
        found = self.trail.changes(record.namespace, record.deployment, since=record.at)
        return [change for change in found if change.what == what]


def text_of(status: DeploymentStatus | None) -> str:
    """The deployment as a text that equals another if the deployments do; empty if there is none."""
    return manifest_text(status.deployment) if status is not None else NOTHING


def changed_by(status: DeploymentStatus | None) -> str:
    """Who changed the deployment last and when, in words."""
    if status is None:
        return "it is gone"
    who = status.changed_by or "somebody"
    return f"{who} changed it at {status.changed_at:%Y-%m-%d %H:%M:%S %Z}" if status.changed_at else f"{who} changed it"
