"""The words a decision leaves in MLflow and in the history. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from services.decisions.evidence import FORMAT
from services.decisions.plan import Plan, Progress
from services.evidence.decision_table import DecisionRecord

PREFIX = "decant."
DECISION, TEST, VERDICT, EVIDENCE = (PREFIX + key for key in ("decision", "test", "verdict", "evidence"))
ROLE, REASON, WHO, WHEN, WHERE = (PREFIX + key for key in ("role", "reason", "decided_by", "decided_at", "deployment"))
STATE, OVERRIDDEN = PREFIX + "decision_state", PREFIX + "overridden"
LOST_TO, FORMER = PREFIX + "lost_to", PREFIX + "former_champion"
MADE_BY = PREFIX + "registered_by"
IN_FORCE = "in force"


def folder(record: DecisionRecord) -> str:
    """Where the artifacts of a decision are in its run."""
    return f"decant/decision-{record.id}"


def reason(record: DecisionRecord, plan: Plan) -> str:
    """For the history: why, and on which evidence."""
    against = f"; overridden: {' '.join(plan.overridden)}" if plan.overridden else ""
    return f"{record.why} [decision {record.id} on test {record.test}: {plan.summary}{against}]"


def made_by(record: DecisionRecord) -> dict[str, str]:
    """On a version that did not exist before."""
    return {MADE_BY: f"decision {record.id}"}


def common(record: DecisionRecord, plan: Plan) -> dict[str, str]:
    """On everything that a decision is about."""
    return {
        DECISION: f"{plan.kind} ({record.id})",
        STATE: IN_FORCE,
        TEST: str(record.test),
        VERDICT: plan.verdict,
        EVIDENCE: plan.summary,
        REASON: record.why,
        WHO: record.who,
        WHEN: record.at.astimezone(UTC).isoformat(timespec="seconds"),
        WHERE: f"{record.namespace}/{record.deployment}",
        OVERRIDDEN: " ".join(plan.overridden) or "nothing",
    }


def role(plan: Plan, arm: str) -> str:
    """What an arm became."""
    if not plan.winner:
        return "no winner"
    return "winner" if arm == plan.winner else "loser"


def run(record: DecisionRecord, plan: Plan, arm: str) -> dict[str, str]:
    """On the run behind an arm."""
    return {**common(record, plan), ROLE: role(plan, arm)}


def versions(
    record: DecisionRecord, plan: Plan, progress: Progress
) -> Iterator[tuple[str, str, dict[str, str], tuple[str, ...]]]:
    """(name, version, tags to set, tags to remove) of every registered version that a decision is about."""
    if not plan.winner:
        return
    shared = common(record, plan)
    crown = f"{plan.name} v{progress.version}" if progress.version else plan.models[plan.winner].uri
    marks: dict[tuple[str, str], dict[str, str]] = {}
    for name, version in plan.models[plan.loser].versions:
        marks[name, version] = {ROLE: role(plan, plan.loser), LOST_TO: crown}
    if plan.former and progress.version and plan.former != progress.version:
        until = record.at.astimezone(UTC).isoformat(timespec="seconds")
        former = marks.setdefault((plan.name, plan.former), {})  # it may be neither of the two
        former[FORMER] = f"until {until}"
    # Last, so that one model on both arms ends as the winner it is.
    marks.pop((plan.name, progress.version), None)
    for (name, version), mark in marks.items():
        yield name, version, {**shared, **mark}, ()
    if progress.version:
        yield plan.name, progress.version, {**shared, ROLE: role(plan, plan.winner)}, (LOST_TO, FORMER)


def undone(progress: Progress) -> dict[str, str]:
    """On everything that the decision was about, once it is taken back."""
    why = f": {progress.undo_why}" if progress.undo_why else ""
    return {STATE: f"undone by {progress.undo_who}{why}"}


def document(record: DecisionRecord, plan: Plan, progress: Progress) -> dict[str, Any]:
    """decision.json: who decided what, when and why, on which evidence, and what it changed."""
    return {
        "format": FORMAT,
        "decision": record.id,
        "kind": plan.kind.value,
        "namespace": record.namespace,
        "deployment": record.deployment,
        "test": record.test,
        "who": record.who,
        "why": record.why,
        "at": record.at.astimezone(UTC).isoformat(),
        "overridden": list(plan.overridden),
        "winner": plan.winner or None,
        "loser": plan.loser or None,
        "models": {
            arm: {"uri": model.uri, "run_id": model.run_id, "model_id": model.model_id, "role": role(plan, arm)}
            for arm, model in plan.models.items()
        },
        "registered": {"name": plan.name or None, "champion": progress.version or None, "before": plan.former},
        "gaps": [*plan.gaps, *progress.gaps],
        "deployment_before": plan.before,
        "deployment_after": plan.last or plan.first or plan.before,
        "evidence": dict(plan.evidence),
    }
