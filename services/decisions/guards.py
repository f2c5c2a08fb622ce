"""What keeps somebody from deciding, or from taking a decision back: another was there first. Each raises Conflict."""

from __future__ import annotations

from services.decisions import backward
from services.decisions.model import Decision, State
from services.decisions.plan import Plan, Progress
from services.decisions.world import World, changed_by, text_of
from services.errors import Conflict
from services.evidence.decision_table import DecisionRecord, DecisionTable


def check_free(table: DecisionTable, world: World, namespace: str, name: str) -> None:
    """No decision on the deployment is unfinished."""
    for record in table.unfinished():
        if (record.namespace, record.deployment) == (namespace, name):
            waiting = world.elsewhere(record) or Progress.from_json(record.steps).waiting or "it goes on by itself"
            raise Conflict(
                f"The test of {namespace}/{name}",
                f"decision {record.id} by {record.who} is not finished: {waiting}",
            )


def check_newest(meant: Decision, newest: DecisionRecord | None) -> None:
    """The decision that is meant is the one that would be taken back."""
    if meant.state is State.UNDONE:
        raise Conflict(f"Decision {meant.id}", f"{meant.undone_who} has taken it back: {meant.undone_why}")
    if newest is not None and newest.id != meant.id:
        newer = f"decision {newest.id} ({newest.call}) by {newest.who} is newer than decision {meant.id}"
        raise Conflict(f"The decision on {meant.namespace}/{meant.deployment}", newer)


def check_untouched(world: World, record: DecisionRecord, progress: Progress) -> None:
    """The deployment is as it was before the decision, or as the decision made it."""
    plan = Plan.from_json(record.evidence)
    if not plan.first or "deployment" not in progress.begun:
        return
    status = world.status(record.namespace, record.deployment)
    if text_of(status) not in (plan.before, *backward.outcomes(plan, progress)):
        raise Conflict(f"Deployment “{record.deployment}”", changed_by(status))
