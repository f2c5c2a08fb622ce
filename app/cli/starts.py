"""What is known of predictors that do not come up, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import format as fmt
from services.errors import DecantError, StartFailed

if TYPE_CHECKING:
    from services.domain import DeploymentStatus, PredictorStatus, Startup
    from services.factory import Services


def unready(built: Services, status: DeploymentStatus) -> list[Startup]:
    """The way up of each predictor that is not ready; none where nobody can tell."""
    found = []
    for arm in status.predictors:
        if arm.phase.value == "ready" and not arm.updating:
            continue
        try:
            found.append(built.engine.startup(status.deployment.namespace, status.deployment.name, arm.name))
        except DecantError:  # the command itself says what does not answer
            continue
    return found


def steps_line(startup: Startup) -> str:
    """`scheduled done, environment done 3 s, download running, ...`."""
    parts = []
    for step in startup.steps:
        took = f" {fmt.duration(step.took_s)}" if step.took_s is not None and step.took_s >= 1 else ""
        note = f" ({step.note})" if step.note else ""
        parts.append(f"{step.step.value} {step.state.value}{took}{note}")
    return ", ".join(parts)


def diagnosis_lines(startup: Startup, deployment: str) -> list[str]:
    """What is wrong and what to do, one sentence a line; empty while nothing known is wrong.

    Args:
        deployment: `namespace/name`, for the command that gives more time.
    """
    found = startup.diagnosis
    if found is None:
        return []
    command = f"python -m app start-budget {deployment} {startup.predictor} {found.budget_s}"
    return [found.what, found.remedy, *([] if found.budget_s is None else [f"Time is given by `{command}`."])]


def failure_of(built: Services, key: str, failed: PredictorStatus) -> StartFailed:
    """The error for a predictor that failed: the diagnosis where there is one, else the engine's own words."""
    namespace, name = key.split("/")
    part = f"Predictor {failed.name} of {key}"
    try:
        startup = built.engine.startup(namespace, name, failed.name)
    except DecantError:
        return StartFailed(part, failed.reason, failed.log_tail)
    said = diagnosis_lines(startup, key)
    hint = "".join(f"\n{line}" for line in said)
    return StartFailed(part, failed.reason, failed.log_tail, hint.strip())
