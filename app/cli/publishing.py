"""Applying a deployment from a terminal: at once, or after its models are where the engine can read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.cli.jobs import check_done, follow
from app.cli.options import require_part
from app.cli.output import ProgressLine, say
from app.format import size

if TYPE_CHECKING:
    from services.domain import ChangeNote, Deployment, DeploymentStatus
    from services.factory import Services
    from services.jobs.publication_values import ModelProgress, Publication


def apply(built: Services, deployment: Deployment, note: ChangeNote) -> DeploymentStatus:
    """Apply it and return what the engine says; shows how far a publication is that has to come first.

    Raises StartFailed if the publication failed, Unavailable before anything is queued if nobody would do it.
    """
    if built.publications.prepare(deployment.validated()).waiting:
        require_part(built, "Worker")
    from services.jobs.publication_values import Publication

    made = built.publications.apply(deployment, note=note)
    if not isinstance(made, Publication):
        return made
    say(f"Publication {made.id}: {', '.join(f'{m.predictor} ({m.label})' for m in made.models)}")
    line = ProgressLine()
    try:
        done = follow(
            built, lambda: built.publications.get(made.id), _shower(line), lambda: built.publications.cancel(made.id)
        )
    finally:
        line.done()
    check_done(done, f"Publication {done.id}")
    for model in done.models:
        say(f"{model.predictor}: {model.uri}{' (was there already)' if model.reused else ''}")
    return built.engine.get(deployment.namespace, deployment.name)


def _shower(line: ProgressLine) -> Callable[[Publication], None]:
    return lambda publication: line.show("  ".join(_words(model) for model in publication.models))


def _words(model: ModelProgress) -> str:
    moved = model.moved
    files = f" {moved.files:,} of {moved.files_total:,} files" if moved.files_total else ""
    amount = f", {size(moved.bytes)} of {size(moved.bytes_total)}" if moved.bytes_total else ""
    return f"{model.predictor}: {moved.step.value}{files}{amount}"
