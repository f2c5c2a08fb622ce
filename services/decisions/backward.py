"""The steps that take a decision back, in order: whole or half carried out, asked for by a person or by a refusal.

Like the steps forward, each looks first and may be taken again. What somebody else changed since stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from services.decisions import tags
from services.decisions.forward import UNWRITABLE, Step, final
from services.decisions.plan import Plan, Progress
from services.decisions.world import World, changed_by, text_of
from services.deployments.history_text import manifest_text
from services.deployments.manifest import from_yaml
from services.domain import Change, ChangeNote
from services.errors import Conflict
from services.evidence.decision_table import DecisionRecord
from services.operations import UNDO_DECISION


def restore(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The deployment as it was. Raises Conflict if somebody else has changed it since."""
    words = f"{progress.undo_why} [undo of decision {record.id}: {plan.kind}]".strip()
    over = progress.undo_over or (progress.refused and bool(plan.managed_by))
    note = ChangeNote(progress.undo_who, words, take_over=over)
    if not plan.first:
        if "deployment" in progress.begun and not world.entries(record, UNDO_DECISION):
            text = plan.before
            entry = Change(datetime.now(UTC), note.who, UNDO_DECISION, record.namespace, record.deployment, text, text)
            world.trail.record_change(replace(entry, why=note.why))
        return ""
    status = world.status(record.namespace, record.deployment)
    present = text_of(status)
    if present == plan.before or "deployment" not in progress.begun:
        world.entries(record, UNDO_DECISION)  # an apply that a crash left unconfirmed gets into the history
        return ""
    if status is not None and present in outcomes(plan, progress):
        try:
            world.operations.apply(
                from_yaml(plan.before), note=note, expected_version=status.version, what=UNDO_DECISION
            )
        except Conflict:
            return "the deployment to hold still"  # the next look sees what was made of it
        return ""
    if not progress.refused:
        raise Conflict(f"Deployment “{record.deployment}”", changed_by(status))
    if "deployment" in progress.done:
        progress.missed(f"The deployment was left as somebody else made it: {changed_by(status)}.")
    return ""


def outcomes(plan: Plan, progress: Progress) -> tuple[str, ...]:
    """The deployment as the decision left it, on the way or at its end."""
    return (plan.first, manifest_text(final(plan, progress))) if plan.last else (plan.first,)


def restore_alias(world: World, _: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The alias names what it named before, unless it was moved since."""
    if "alias" not in progress.begun or not progress.version or plan.former == progress.version:
        return ""
    try:
        present = world.registry.aliased(plan.name)
        if present == progress.version:
            world.registry.set_alias(plan.name, plan.former)
        elif present != plan.former:
            progress.missed(f"The alias of {plan.name} was moved since, to v{present}, and stays there.")
    except UNWRITABLE as error:
        progress.missed(f"The alias of {plan.name} could not be set back: {error.sentence}")
    return ""


def mark_versions(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The versions say that the decision was taken back."""
    if "version tags" not in progress.begun:
        return ""
    for name, version, _, _ in tags.versions(record, plan, progress):
        try:
            world.registry.tag_version(name, version, tags.undone(progress), (tags.LOST_TO, tags.FORMER, tags.ROLE))
        except UNWRITABLE as error:
            progress.missed(f"{name} v{version} does not say that the decision was undone: {error.sentence}")
    return ""


def mark_runs(world: World, _: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The runs say that the decision was taken back."""
    if "run tags" not in progress.begun:
        return ""
    for run_id in plan.runs.values():
        try:
            world.registry.tag_run(run_id, tags.undone(progress))
        except UNWRITABLE as error:
            progress.missed(f"Run {run_id} does not say that the decision was undone: {error.sentence}")
    return ""


def log_undo(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """undone.json beside decision.json."""
    run_id = plan.models[plan.home].run_id
    if "artifacts" not in progress.begun or run_id is None:
        return ""
    said = {"decision": record.id, "who": progress.undo_who, "why": progress.undo_why, "gaps": list(progress.gaps)}
    text = json.dumps({**said, "at": datetime.now(UTC).isoformat()}, indent=2, ensure_ascii=False)
    try:
        world.registry.log_text(run_id, f"{tags.folder(record)}/undone.json", text)
    except UNWRITABLE as error:
        progress.missed(f"Run {run_id} has no undone.json: {error.sentence}")
    return ""


STEPS: dict[str, Step] = {
    "undo deployment": restore,
    "undo alias": restore_alias,
    "undo version tags": mark_versions,
    "undo run tags": mark_runs,
    "undo artifacts": log_undo,
}
