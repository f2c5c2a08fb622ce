"""The five steps of a predictor's way up, with their times, from its pod and its log. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.deployments.kubernetes.pods import is_lost, view
from services.deployments.kubernetes.roles import Part, Role, parts_of
from services.deployments.kubernetes.stamped import Stamped
from services.deployments.kubernetes.times import read_time
from services.domain import Phase, StartupStep, Step, StepState

Object = Mapping[str, Any]

_BUILT = ("seldon_core.microservice", "Creating MLFLow server", "Starting gunicorn", "Listening at", "Uvicorn running")
"""Words in the log of a model server whose environment is there, since they are its own."""


def steps_of(pod: Object | None, log: Sequence[Stamped], *, failed: bool) -> tuple[StartupStep, ...]:
    """The steps in their order.

    Args:
        pod: the one that has to come up; None: there is none yet.
        failed: that something is known to be wrong with it, also where its own status does not say so.
    """
    if pod is None:
        state = StepState.FAILED if failed else StepState.RUNNING
        return (StartupStep(Step.SCHEDULED, state, note="no pod yet"), *_waiting(*list(Step)[1:]))
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    found = view(pod)
    bad = failed or found.phase is Phase.FAILED or bool(found.crashed)
    made = read_time(metadata.get("creationTimestamp"))
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") != "True":
        state = StepState.FAILED if bad or placed.get("status") == "False" else StepState.RUNNING
        note = "its node put it out" if status.get("reason") == "Evicted" else ""
        return (StartupStep(Step.SCHEDULED, state, made, note=note), *_waiting(*list(Step)[1:]))
    if is_lost(pod):
        note = "its node does not answer"
        return (StartupStep(Step.SCHEDULED, StepState.FAILED, made, note=note), *_waiting(*list(Step)[1:]))
    at = read_time(placed.get("lastTransitionTime"))
    # What holds the pod and is not the model's fails no step of the model's: it keeps the arm from answering.
    beside = found.held_by if bad and found.held_by and not found.held_by.own else None
    steps = _placed(parts_of(pod), conditions, at, log, bad and beside is None)
    if beside is None:
        return (_done(Step.SCHEDULED, made, at), *steps)
    paused = [_paused(step, beside) for step in steps[:-1]]
    note = ", ".join(part for part in (f"{beside.kind} {beside.name}", _restarts(beside.status)) if part)
    return (_done(Step.SCHEDULED, made, at), *paused, StartupStep(Step.READY, StepState.FAILED, note=note))


def _placed(
    parts: Sequence[Part],
    conditions: Mapping[Any, Object],
    at: datetime | None,
    log: Sequence[Stamped],
    bad: bool,
) -> tuple[StartupStep, ...]:
    fetch = _download(parts, at, bad)
    if fetch.state is not StepState.DONE:
        return (fetch, *_waiting(Step.ENVIRONMENT, Step.LOAD, Step.READY))
    return (fetch, *_serving(parts, conditions, log, bad))


def _paused(step: StartupStep, beside: Part) -> StartupStep:
    """A step that cannot be under way, since an init container that comes first has failed."""
    held = beside.before and step.state is StepState.RUNNING
    return StartupStep(step.step, StepState.WAITING) if held else step


def _download(parts: Sequence[Part], placed: datetime | None, bad: bool) -> StartupStep:
    """The model's initialisers, and what has to end before them."""
    going = StepState.FAILED if bad else StepState.RUNNING
    first = next((part for part in parts if part.before and not part.ended_well), None)
    if first is not None and first.role is Role.DOWNLOAD:
        state = first.status.get("state") or {}
        began = read_time((state.get("running") or state.get("terminated") or {}).get("startedAt")) or placed
        return StartupStep(Step.DOWNLOAD, going, began, note=_restarts(first.status))
    if first is not None:
        return StartupStep(Step.DOWNLOAD, going, placed, note=f"init container {first.name} comes first")
    fetched = [part.status["state"]["terminated"] for part in parts if part.role is Role.DOWNLOAD and part.before]
    if fetched:
        return _done(Step.DOWNLOAD, read_time(fetched[0].get("startedAt")), read_time(fetched[-1].get("finishedAt")))
    started = any(part.role is Role.MODEL for part in parts)
    state = StepState.DONE if started else going
    return StartupStep(Step.DOWNLOAD, state, placed, note="no download of its own" if started else "")


def _serving(
    parts: Sequence[Part], conditions: Mapping[Any, Object], log: Sequence[Stamped], bad: bool
) -> tuple[StartupStep, ...]:
    """Environment, load and ready: one container does all three, and its log tells the first from the second."""
    container: Object = next((part.status for part in parts if part.role is Role.MODEL), {})
    going = StepState.FAILED if bad else StepState.RUNNING
    running = (container.get("state") or {}).get("running") or {}
    ended = (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
    began = read_time((running or ended or {}).get("startedAt"))
    built = next((line for line in log if any(word in line.text for word in _BUILT)), None)
    loaded = bool(container.get("ready"))
    is_ready = conditions.get("Ready", {})
    ready_at = read_time(is_ready.get("lastTransitionTime")) if is_ready.get("status") == "True" else None
    note = _restarts(container)
    if not began:
        return (StartupStep(Step.ENVIRONMENT, going, note=note), *_waiting(Step.LOAD, Step.READY))
    if built is None and not loaded:
        return (StartupStep(Step.ENVIRONMENT, going, began, note=note), *_waiting(Step.LOAD, Step.READY))
    environment = _done(Step.ENVIRONMENT, began, built.at if built else None)
    if not loaded:
        return (environment, StartupStep(Step.LOAD, going, _end(built), note=note), *_waiting(Step.READY))
    load = _done(Step.LOAD, _end(built), ready_at)
    if ready_at is None or bad:  # of a pod that is ready something else may be wrong: its operator, another pod
        return (environment, load, StartupStep(Step.READY, going, note=_late(parts)))
    return (environment, load, StartupStep(Step.READY, StepState.DONE, ready_at, 0.0))


def _late(parts: Sequence[Part]) -> str:
    """The containers that a pod whose model is ready still waits for."""
    return ", ".join(part.name for part in parts if not (part.before or part.status.get("ready")))


def _end(built: Stamped | None) -> datetime | None:
    """When the environment was there, if the log says so."""
    return built.at if built else None


def _restarts(container: Object) -> str:
    count = int(container.get("restartCount") or 0)
    return "" if not count else "restarted once" if count == 1 else f"restarted {count} times"


def _done(step: Step, began: datetime | None, ended: datetime | None) -> StartupStep:
    took_s = max(0.0, (ended - began).total_seconds()) if began and ended else None
    return StartupStep(step, StepState.DONE, began, took_s)


def _waiting(*steps: Step) -> tuple[StartupStep, ...]:
    return tuple(StartupStep(step, StepState.WAITING) for step in steps)
