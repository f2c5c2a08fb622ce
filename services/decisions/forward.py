"""The steps that carry a decision out, in order. Each looks at the world first and does only what is still to do.

A step returns what it waits for, in words, or "" when it is done. It raises Unavailable when a part does not answer
(it is tried again later), and any other DecantError when the decision cannot be carried out (it is taken back). The
deployment and the alias are the decision; tags and artifacts tell of it, so a run or version that is gone, or that may
not be written to, is a gap and no reason to take the decision back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from services.decisions import tags
from services.decisions.plan import Plan, Progress
from services.decisions.world import World, changed_by, text_of
from services.deployments.history_text import manifest_text
from services.deployments.manifest import from_yaml
from services.domain import Change, ChangeNote, Deployment, Phase
from services.errors import Conflict, InvalidInput, NotFound, Rejected
from services.evidence.decision_table import DecisionRecord

Step = Callable[[World, DecisionRecord, Plan, Progress], str]

UNWRITABLE = (NotFound, Rejected, InvalidInput)
"""What MLflow answers when a tag or an artifact cannot be written, now or ever."""


def begin(world: World, record: DecisionRecord, plan: Plan, _: Progress) -> str:
    """All traffic to the winner, at once; for a test that ends without one, just the entry in the history."""
    # That a plan with a manager was recorded at all is its author's word for taking over.
    note = ChangeNote(record.who, tags.reason(record, plan), take_over=bool(plan.managed_by))
    if not plan.first:
        if not world.entries(record, plan.kind):
            text = plan.before
            entry = Change(datetime.now(UTC), note.who, plan.kind, record.namespace, record.deployment, text, text)
            world.trail.record_change(replace(entry, why=note.why))
        return ""
    status = world.status(record.namespace, record.deployment)
    done = text_of(status) == plan.first or any(c.after == plan.first for c in world.entries(record, plan.kind))
    if not done:
        if status is None:
            raise NotFound("deployment", f"{record.namespace}/{record.deployment}")
        world.operations.apply(from_yaml(plan.first), note=note, expected_version=plan.version, what=plan.kind)
    return ""


def register(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The winner's registered version: found, or made."""
    if plan.winner and plan.name and plan.models[plan.winner].source:
        model = plan.models[plan.winner]
        known = model.version_of(plan.name)
        progress.version = known or world.registry.register(plan.name, model, tags.made_by(record))
    return ""


def point_alias(world: World, _: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The alias names the winner's version."""
    if progress.version:
        world.registry.set_alias(plan.name, progress.version)
    return ""


def tag_versions(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """Winner, loser and former champion say so in the registry."""
    for name, version, values, without in tags.versions(record, plan, progress):
        try:
            world.registry.tag_version(name, version, values, without)
        except UNWRITABLE as error:
            progress.missed(f"{name} v{version} has no tags of this decision: {error.sentence}")
    return ""


def tag_runs(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """Both runs say what was decided about them."""
    for arm, run_id in plan.runs.items():
        try:
            world.registry.tag_run(run_id, tags.run(record, plan, arm))
        except UNWRITABLE as error:
            progress.missed(f"Run {run_id} of {arm} has no tags of this decision: {error.sentence}")
    return ""


def log_artifacts(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """decision.json and report.html among the artifacts of the winner's run."""
    run_id = plan.models[plan.home].run_id
    if run_id is None:
        return ""
    report = world.reports.read(record.report)
    if record.report and report is None:
        progress.missed("The report of this decision is lost: its file was deleted before it reached MLflow.")
    folder = tags.folder(record)
    try:
        if report is not None:
            world.registry.log_text(run_id, f"{folder}/report.html", report)
        text = json.dumps(tags.document(record, plan, progress), indent=2, ensure_ascii=False)
        world.registry.log_text(run_id, f"{folder}/decision.json", text)
    except UNWRITABLE as error:
        progress.missed(f"Run {run_id} has no artifacts of this decision: {error.sentence}")
    return ""


def end_test(world: World, record: DecisionRecord, plan: Plan, _: Progress) -> str:
    """The test is over."""
    world.tests.conclude(record.test, f"{plan.kind}: {record.why} (decision {record.id})")
    return ""


def finish(world: World, record: DecisionRecord, plan: Plan, progress: Progress) -> str:
    """The champion's arm takes over once it has loaded the winner's model, and the other arm ends."""
    if not plan.last:
        return ""
    status = world.status(record.namespace, record.deployment)
    last = final(plan, progress)
    if status is None or text_of(status) not in (plan.first, manifest_text(last)):
        progress.missed(f"The deployment was left as somebody else made it: {changed_by(status)}.")
        return ""
    if text_of(status) == manifest_text(last):
        return ""
    arm = status.predictor(plan.arm)
    if arm.phase is not Phase.READY or arm.updating or arm.ready < arm.desired:
        why = f": {arm.reason}" if arm.reason else ""
        return f"{plan.arm} to load the winner's model, which {plan.winner} serves meanwhile{why}"
    words = f"{plan.arm} serves the winner; {plan.winner} ends (decision {record.id})"
    note = ChangeNote(record.who, words, take_over=bool(plan.managed_by))
    try:
        world.operations.apply(last, note=note, expected_version=status.version, what=plan.kind)
    except Conflict:
        return "the deployment to hold still"  # the next look sees what was made of it
    return ""


def final(plan: Plan, progress: Progress) -> Deployment:
    """What the deployment ends as, with the registered version that the winner has by then."""
    deployment = from_yaml(plan.last)
    if not progress.version:
        return deployment
    arm = deployment.predictor(plan.arm)
    known = replace(arm.provenance, registered_name=plan.name, registered_version=progress.version)
    arms = (replace(p, provenance=known) if p.name == plan.arm else p for p in deployment.predictors)
    return replace(deployment, predictors=tuple(arms))


STEPS: dict[str, Step] = {
    "deployment": begin,
    "version": register,
    "alias": point_alias,
    "test": end_test,  # only now: a decision that had to be taken back leaves the test running
    "version tags": tag_versions,
    "run tags": tag_runs,
    "artifacts": log_artifacts,
    "takeover": finish,
}
