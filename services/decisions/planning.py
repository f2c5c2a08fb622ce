"""From an assessment to the plan of a decision: reads the deployment and MLflow, changes nothing."""

from __future__ import annotations

from services.decisions.evidence import evidence, summary
from services.decisions.model import Kind, obstacles
from services.decisions.plan import Plan
from services.decisions.target import target
from services.decisions.world import World
from services.deployments.history_text import manifest_text
from services.domain import Deployment, Phase, PredictorStatus
from services.errors import Conflict, InvalidInput, NotFound, Unavailable
from services.tracking.registry import CHAMPION, Lineage
from services.verdict.model import Assessment
from services.verdict.rule import ABTest


def make_plan(world: World, assessment: Assessment, kind: Kind) -> Plan:
    """Everything the decision will do.

    Raises:
        NotFound: if the deployment or an arm is gone.
        Conflict: if an arm serves another model than the test is about.
        InvalidInput: if the champion is a shadow, or the deployment holds what Decant does not write.
        Unavailable: if the engine or MLflow does not answer, or the winner is not ready for all the traffic; MLflow is
            asked only about models that come from it.
    """
    test = assessment.test
    status = world.status(test.namespace, test.deployment)
    if status is None:
        raise NotFound("deployment", f"{test.namespace}/{test.deployment}")
    a, b = test.rule.champion, test.rule.challenger
    wanted = target(status.deployment, kind, a, b, unseen=world.engine.loads_unseen)
    if wanted.first and status.unwritable:
        raise InvalidInput(
            f"Deployment “{test.deployment}” cannot be decided on here. {status.unwritable}",
            "Move its traffic to the winner, change the rest where it was made, and end the test.",
        )
    _check_models(status.deployment, test)
    winner, loser = {Kind.PROMOTE: (b, a), Kind.KEEP: (a, b), Kind.END: ("", "")}[kind]
    if winner:
        _check_ready(status.predictor(winner))
    try:
        arms = [status.deployment.predictor(arm) for arm in (a, b)]
        models = {arm.name: world.registry.lineage(arm.model_uri, arm.provenance) for arm in arms}
        name = registered_name(models[a], models[b], arms[0].provenance.registered_name, test.deployment)
        former = world.registry.aliased(name) if name and kind is not Kind.END else None
        engine = world.identity()
    except Unavailable as error:
        hint = f"Nothing has been changed. {error.hint}".strip()
        raise Unavailable(error.part, error.detail, hint, does=error.does) from error
    return Plan(
        kind=kind,
        test=test.id,
        a=a,
        b=b,
        winner=winner,
        loser=loser,
        before=manifest_text(status.deployment),
        first=_text(wanted.first),
        last=_text(wanted.last),
        version=status.version,
        arm=wanted.arm,
        models=models,
        name=name,
        former=former,
        verdict=assessment.call.value,
        summary=summary(assessment),
        overridden=obstacles(kind, assessment),
        gaps=gaps(models, winner, name, former),
        evidence=evidence(assessment),
        engine=engine.key,
        engine_words=engine.words,
        managed_by=status.managed_by if wanted.first else "",
    )


def registered_name(a: Lineage, b: Lineage, annotated: str | None, deployment: str) -> str:
    """The registered model whose alias `champion` the decision moves; empty if MLflow has neither model.

    The champion's, else the challenger's, else a new one of the deployment's name: so that whoever loads
    `models:/<name>@champion` gets the winner from the name they know.
    """
    for model in (a, b):
        names = [name for name, _ in model.versions]
        for preferred in (annotated, deployment):
            if preferred in names:
                return str(preferred)
        if names:
            return names[0]
    return deployment if a.source or b.source else ""


def gaps(models: dict[str, Lineage], winner: str, name: str, former: str | None) -> tuple[str, ...]:
    """What MLflow cannot be told, in words, because it does not know a model."""
    found = []
    for arm, model in models.items():
        if model.run_id is None:
            found.append(f"The model of {arm} ({model.uri}) has no run in MLflow: no run tags for it.")
    if winner and not models[winner].source:
        still = f" The alias {CHAMPION} of {name} still names v{former}." if name and former else ""
        found.append(f"The model of {winner} is not in MLflow, so it gets no version and no alias.{still}")
    home = winner or next(iter(models))
    if models[home].run_id is None:
        found.append("decision.json and the report stay with Decant: there is no run to keep them.")
    return tuple(found)


def consequences(plan: Plan) -> tuple[str, ...]:
    """What the decision will change, one sentence each, for people to read before they decide."""
    said = [_of_deployment(plan)]
    if plan.managed_by:
        said.append(f"Decant takes the deployment over from {plan.managed_by}.")
    if plan.winner and plan.name and plan.models[plan.winner].source:
        version = plan.models[plan.winner].version_of(plan.name)
        now = f"v{version}" if version else "a new version"
        before = f", instead of v{plan.former}" if plan.former and plan.former != version else ""
        said.append(f"MLflow: the alias {CHAMPION} of {plan.name} names {now}, the model of {plan.winner}{before}.")
    if plan.runs:
        said.append(f"MLflow: the runs of {' and '.join(sorted(plan.runs))} are tagged with the decision.")
    if plan.models[plan.winner or plan.a].run_id:
        said.append(f"MLflow: decision.json and report.html go to the run of {plan.winner or plan.a}.")
    return (*said, f"Test {plan.test} ends.", *plan.gaps)


def _of_deployment(plan: Plan) -> str:
    if not plan.winner:
        return "The deployment stays as it is, with its split."
    if plan.last:
        return (
            f"All traffic of {plan.a} and {plan.b} goes to {plan.winner} at once; {plan.arm} loads the same model and "
            f"takes over when it is ready, and {plan.winner} ends."
        )
    return f"All traffic of {plan.a} and {plan.b} goes to {plan.winner} at once, and {plan.loser} ends."


def _check_models(deployment: Deployment, test: ABTest) -> None:
    for arm, model in ((test.rule.champion, test.model_a), (test.rule.challenger, test.model_b)):
        if deployment.predictor(arm).model_uri != model:
            raise Conflict(f"Test {test.id}", f"{arm} serves another model than the test is about")


def _check_ready(arm: PredictorStatus) -> None:
    """An arm that cannot serve must not get everything."""
    if arm.phase is not Phase.READY or arm.updating:
        why = arm.reason or ("it is being replaced" if arm.updating else arm.phase.value)
        raise Unavailable(f"Predictor {arm.name}", why, "Nothing has been changed. Decide when it is ready.")


def _text(deployment: Deployment | None) -> str:
    return manifest_text(deployment.validated()) if deployment is not None else ""
