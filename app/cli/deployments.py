"""deploy: make or change a deployment, and watch it come up."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from app.cli import preflight
from app.cli.options import (
    deployment_key,
    json_option,
    namespace_option,
    note,
    parse_split,
    read_text,
    services,
    take_over_option,
    why_option,
)
from app.cli.output import plain, put_json, say
from app.cli.publishing import apply
from app.cli.starts import failure_of
from services.errors import NotFound, StartFailed

if TYPE_CHECKING:
    from services.domain import ChangeNote, Deployment, DeploymentStatus
    from services.factory import Services

POLL_S = 0.25
SETTLE_MARGIN_S = 60.0  # on top of the time a model server may take to load
FAILURE_STANDS_S = 2.0  # an older failure may still be in the status for a moment after a change


@click.command()
@click.argument("name", required=False)
@namespace_option
@click.option("--a", "ref_a", metavar="REF", help="Model of predictor a: the champion.")
@click.option("--b", "ref_b", metavar="REF", help="Model of predictor b: the challenger.")
@click.option("--shadow", "ref_shadow", metavar="REF", help="Model that gets copies of requests and answers nobody.")
@click.option("--split", default="", help="Shares of a and b, such as 80/20 (the default for two).")
@click.option("--replicas", default=1, show_default=True, help="Processes for each predictor.")
@click.option("-f", "--file", metavar="FILE", help="A SeldonDeployment manifest instead (- for stdin).")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it answers.")
@click.option("--dry-run", is_flag=True, help="Write the manifest as YAML and change nothing.")
@click.option("--check", is_flag=True, help="Say what would keep it from working, and change nothing.")
@click.option("--skip-check", is_flag=True, help="Apply it whatever the pre-flight check would find.")
@why_option
@take_over_option
@json_option
def deploy(
    name: str | None,
    namespace: str,
    ref_a: str | None,
    ref_b: str | None,
    ref_shadow: str | None,
    split: str,
    replicas: int,
    file: str | None,
    wait: bool,
    dry_run: bool,
    check: bool,
    skip_check: bool,
    why: str,
    take_over: bool,
    as_json: bool,
) -> None:
    """Create or change a deployment. What would certainly fail is refused before that (exit code 2), and so is a file
    of which Decant would leave something out.

    REF is a run id, runs:/<run>/<path>, models:/m-<id>, models:/<name>/<version>, models:/<name>@<alias> or a folder.

    \b
    Example: python -m app deploy wine --a 3f2e... --b models:/wine@challenger --split 80/20 --why "first try"
             python -m app deploy -f manifests/examples/ab-test.yaml
    JSON: {"namespace", "name", "version", "settled", "requested", "in_force", "url", "predictors": [...]}
    With --check: {"blocks": [{"topic", "predictor", "what", "mend", "fix"}], "warns": [...], "fine": [...]}
    """
    if file is not None and (name or ref_a or ref_b or ref_shadow or split):
        raise click.UsageError("A manifest says it all: give either -f or NAME with --a and --b.")
    if file is None and not (name and ref_a):
        raise click.UsageError("Give NAME and --a (and --b for a test), or -f with a manifest.")
    manifest = ""
    if file is not None:
        from services.deployments.manifest import from_yaml

        manifest = read_text(file)
        deployment = from_yaml(manifest).validated()
        built = services()
    else:
        key = deployment_key(str(name), namespace)
        built = services()
        deployment = compose(built, key, {"a": ref_a, "b": ref_b}, ref_shadow, split, replicas).validated()
    because = note(built, why, take_over=take_over)
    if dry_run:
        prepared = built.publications.prepare(deployment)
        _say_left_out(built, manifest, prepared.deployment, because)
        if prepared.waiting:
            say(f"The models of {', '.join(prepared.waiting)} would be published first.")
        click.echo(built.engine.preview(prepared.deployment, note=because), nl=False)
        return
    if check or not skip_check:
        report = preflight.run(built, deployment, because, manifest, fine_too=check and not as_json)
        if check and as_json:
            put_json(preflight.rows(report))
        preflight.refuse_if_blocked(report, deployment.key)
        if check:
            return
    else:
        _say_left_out(built, manifest, deployment, because)
    status = apply(built, deployment, because)
    say(f"Deployment {deployment.key} is accepted.")
    if wait:
        status = wait_until_settled(built, deployment.namespace, deployment.name)
        way = built.engine.endpoint(deployment.namespace, deployment.name)
        say(f"It answers at {way.address}")
        if way.note:
            say(way.note)
    if as_json:
        url = built.engine.endpoint(deployment.namespace, deployment.name).address
        put_json({**status_rows(status), "url": url})


def _say_left_out(built: Services, manifest: str, deployment: Deployment, because: ChangeNote) -> None:
    """What the file says and Decant leaves out is told also where nothing is checked."""
    for finding in built.preflight.left_out(manifest, deployment, note=because) if manifest else ():
        say(preflight.line(finding))


def compose(
    built: Services,
    key: tuple[str, str],
    references: dict[str, str | None],
    shadow: str | None,
    split: str,
    replicas: int,
) -> Deployment:
    """A deployment of the given models, each looked up; what the live one says beside them is kept."""
    from services.domain import Deployment, Predictor

    try:
        present = built.engine.get(*key).deployment
    except NotFound:
        present = Deployment(*key, ())
    known = {p.name: p for p in present.predictors}
    live = {name: reference for name, reference in references.items() if reference}
    shares = parse_split([split or ("100" if len(live) == 1 else "80/20")], list(live))
    predictors = []
    for name, reference in [*live.items(), *([("shadow", shadow)] if shadow else [])]:
        model = built.models.resolve(reference)
        is_shadow = name == "shadow"
        predictors.append(
            replace(
                known.get(name) or Predictor(name, model.uri),
                model_uri=model.uri,
                traffic=100 if is_shadow else shares[name],
                replicas=replicas,
                shadow=is_shadow,
                provenance=model.provenance,
                parameters=model.parameters,
            )
        )
        say(f"{name}: {model.provenance.label} ({model.uri})")
    return replace(present, predictors=tuple(predictors))


def wait_until_settled(built: Services, namespace: str, name: str) -> DeploymentStatus:
    """Wait until every predictor is ready and the gateway does what was asked; say what changes on the way.

    Raises:
        StartFailed: if a predictor failed or the time is over; carries its last log lines.
    """
    wanted = built.engine.get(namespace, name).deployment.predictors
    budgets_s = [p.start_budget_s for p in wanted if p.start_budget_s is not None]
    patience_s = max([built.settings.start_timeout_s, *budgets_s]) + SETTLE_MARGIN_S
    started = time.monotonic()
    said: dict[str, str] = {}
    failed_since: float | None = None
    while True:
        status = built.engine.get(namespace, name)
        for part in status.predictors:
            words = f"{part.name}: {part.phase.value}, {part.ready} of {part.desired} ready"
            words += f" ({part.said})" if part.said else ""
            if said.get(part.name) != words:
                say(words)
                said[part.name] = words
        if status.settled:
            return status
        now = time.monotonic()
        failed = next((part for part in status.predictors if part.phase.value == "failed"), None)
        failed_since = (failed_since or now) if failed else None
        if failed and failed_since is not None and now - failed_since > FAILURE_STANDS_S:
            raise failure_of(built, f"{namespace}/{name}", failed)
        if now - started > patience_s:
            slow = next((p for p in status.predictors if p.ready < p.desired), None)
            raise StartFailed(
                f"Deployment {namespace}/{name}",
                status.message or (slow.reason if slow and slow.reason else f"it is not ready after {patience_s:g} s"),
                slow.log_tail if slow else (),
                "It may still come up: `python -m app status`.",
            )
        time.sleep(POLL_S)


def status_rows(status: DeploymentStatus) -> dict[str, object]:
    """A deployment's status with stable keys, for JSON."""
    deployment = status.deployment
    models = {p.name: p for p in deployment.predictors}
    return {
        "namespace": deployment.namespace,
        "name": deployment.name,
        "version": status.version,
        "settled": status.settled,
        "requested": status.requested.as_dict(),
        "in_force": status.in_force.as_dict() if status.in_force else None,
        "changed_by": status.changed_by,
        "changed_at": plain(status.changed_at),
        "managed_by": status.managed_by,
        "message": " ".join(said for said in (status.message, status.unwritable) if said),
        "waiting": status.waiting,
        "predictors": [
            {
                "name": p.name,
                "phase": p.phase.value,
                "ready": p.ready,
                "desired": p.desired,
                "reason": p.reason,
                "progress": p.progress,
                "model_uri": models[p.name].model_uri if p.name in models else None,
                "shadow": models[p.name].shadow if p.name in models else False,
            }
            for p in status.predictors
        ],
    }
