"""What a decision is held up by, and a decision that is only tried: what it would change, what would refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.decisions.guards import check_free
from services.decisions.model import Kind, obstacles
from services.decisions.plan import Plan
from services.decisions.planning import consequences, make_plan
from services.decisions.world import World
from services.domain import ChangeNote
from services.errors import DecantError, Foreign, InvalidInput
from services.evidence.decision_table import DecisionTable
from services.evidence.tests_table import ABTestRecord
from services.verdict.model import Assessment


class NotCarried(InvalidInput):
    """The evidence speaks against the decision, which may be overridden on purpose. `against` says what, in words."""

    def __init__(self, against: tuple[str, ...]) -> None:
        super().__init__(
            f"The evidence does not carry this decision. {' '.join(against)}",
            "Repair what is wrong, or override it on purpose; the override is recorded.",
        )
        self.against = against


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would come of a decision now.

    Attributes:
        changes: what it would change, one sentence each; empty if it could not be carried out at all.
        refusals: what it would be refused for, in the order in which it is found: `decide` raises the first.
        overridden: what speaks against it and would be overridden.
    """

    assessment: Assessment
    changes: tuple[str, ...]
    refusals: tuple[DecantError, ...]
    overridden: tuple[str, ...]


def check_reason(note: ChangeNote) -> None:
    if not note.why:
        raise InvalidInput("A decision needs a reason.", "Say in a sentence why; it is kept in the history.")


def check_running(test: ABTestRecord) -> None:
    if test.ended_at is not None:
        raise InvalidInput(f"Test {test.id} has ended: {test.ended_why}.", "Start a new one.")


def check_carried(against: tuple[str, ...], *, override: bool) -> None:
    """Raises NotCarried if something speaks against the decision (see `obstacles`) that is not overridden."""
    if against and not override:
        raise NotCarried(against)


def check_own(plan: Plan, name: str, note: ChangeNote) -> None:
    """Raises Foreign if another tool manages what would change, and the note does not say that it is taken over."""
    if plan.managed_by and not note.take_over:
        raise Foreign(f"Deployment “{name}”", [plan.managed_by])


def rehearse(
    table: DecisionTable, world: World, found: Assessment, kind: Kind, *, note: ChangeNote, override: bool
) -> Rehearsal:
    """Make the checks of `Decisions.decide` in its order, and go on after one that fails. Changes nothing.

    A test that has ended is not looked at any further: nothing gets around that.
    """
    test = found.test
    refusals: list[DecantError] = []

    @contextmanager
    def noted() -> Iterator[None]:
        try:
            yield
        except DecantError as error:
            refusals.append(error)

    with noted():
        check_reason(note)
    with noted():
        check_free(table, world, test.namespace, test.deployment)
    now = world.tests.get(test.id)
    if now.ended_at is not None:
        with noted():
            check_running(now)
        return Rehearsal(found, (), tuple(refusals), ())
    against = obstacles(kind, found)
    with noted():
        check_carried(against, override=override)
    changes: tuple[str, ...] = ()
    with noted():
        plan = make_plan(world, found, kind)
        changes = consequences(plan)
        check_own(plan, test.deployment, note)
    return Rehearsal(found, changes, tuple(refusals), against if override else ())
