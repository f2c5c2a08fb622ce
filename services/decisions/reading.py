"""A decision as it is read from the store."""

from __future__ import annotations

from services.decisions import backward, forward, words
from services.decisions.model import Decision, State
from services.decisions.plan import Plan, Progress
from services.evidence.decision_table import DecisionRecord


def decision_of(record: DecisionRecord) -> Decision:
    """The row as a value."""
    plan, progress = Plan.from_json(record.evidence), Progress.from_json(record.steps)
    said = words.steps(plan)
    return Decision(
        id=record.id,
        namespace=record.namespace,
        deployment=record.deployment,
        kind=plan.kind,
        state=State(record.state),
        test=record.test,
        who=record.who,
        why=record.why,
        at=record.at,
        winner=plan.winner,
        loser=plan.loser,
        verdict=plan.verdict,
        summary=plan.summary,
        champion=f"{plan.name} v{progress.version}" if progress.version else "",
        overridden=plan.overridden,
        gaps=(*plan.gaps, *progress.gaps),
        waiting="" if State(record.state).final else progress.waiting,
        undone_who=progress.undo_who,
        undone_why=progress.undo_why,
        steps=tuple(progress.done),
        did=tuple(said[key] for key in progress.done if said[key] and key in forward.STEPS),
        took_back=tuple(said[key] for key in progress.done if said[key] and key in backward.STEPS),
    )
