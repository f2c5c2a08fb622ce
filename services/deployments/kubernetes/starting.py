"""A predictor's way up, read from its newest pod, the events about it and its log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.deployments.kubernetes.pods import ORCHESTRATOR, view
from services.deployments.kubernetes.stamped import Stamped
from services.deployments.kubernetes.times import read_time
from services.domain import Phase, Startup, StartupStep, Step, StepState
from services.startup.recognise import Traces, recognise

Object = Mapping[str, Any]

SELDON_BUDGET_S = 75
"""What Seldon's own liveness probe allows: 60 s of delay and three failures 5 s apart."""
BUDGETS_S = (1200, 2400, 3600, 7200)
"""Start budgets to propose: an environment takes minutes to build, and a build that is cut short begins anew."""
_BUILT = ("seldon_core.microservice", "Creating MLFLow server", "Starting gunicorn", "Listening at", "Uvicorn running")
"""Words in the log of a model server whose environment is there, since they are its own."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of one predictor.

    Attributes:
        pods: the newest, or none.
        events: messages of events about it.
        log: its model's.
        refused: what keeps pods from being made, as its Deployment says it; empty: nothing.
        stuck: that its Deployment calls the rollout given up; empty: it does not.
    """

    pods: Sequence[Object]
    events: Sequence[str]
    log: Sequence[Stamped]
    refused: str = ""
    stuck: str = ""


def startup_of(predictor: str, seen: Seen, *, ready: bool, budget_s: float | None) -> Startup:
    """The steps and, while it is not ready, the diagnosis.

    Args:
        ready: whether Seldon's operator counts the predictor as available.
        budget_s: seconds that its probes allow; None for Seldon's own.
    """
    pod = newest(seen.pods)
    allowed_s = SELDON_BUDGET_S if budget_s is None else budget_s
    log = [line.text for line in seen.log]
    diagnosis = None
    if not ready:
        states = [state for one in seen.pods for state in states_of(one)]
        # A start that goes well logs warnings too: a log is evidence only once something has failed.
        failed = any(view(one).crashed or view(one).phase is Phase.FAILED for one in seen.pods)
        conditions = [said for said in (seen.refused, seen.stuck) if said]
        traces = Traces(log if failed else (), states, seen.events, conditions)
        larger_s = next((b for b in BUDGETS_S if b > allowed_s), None)
        diagnosis = recognise(traces, larger_budget_s=larger_s)
    return Startup(predictor, _steps(pod, seen, diagnosis is not None), diagnosis, tuple(log), allowed_s)


def newest(pods: Iterable[Object]) -> Object | None:
    """The pod that was made last: of two while one replaces the other, the one that has to come up."""
    return max(pods, key=lambda p: str((p.get("metadata") or {}).get("creationTimestamp", "")), default=None)


def states_of(pod: Object) -> list[str]:
    """The pod and its containers, each in a line as the catalogue of failures expects it."""
    status = pod.get("status") or {}
    states = [view(pod).reason]
    states += [str(status[key]) for key in ("reason", "message") if status.get(key)]
    for container in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
        for when in ("lastState", "state"):
            for kind, said in (container.get(when) or {}).items():
                words = f"container {container.get('name')} {kind} {said.get('reason', '')}"
                code = said.get("exitCode")
                words += f" exit code {code}" if code else ""
                states.append(f"{words}: {said['message']}" if said.get("message") else words)
    return [state for state in states if state]


def _steps(pod: Object | None, seen: Seen, refused: bool) -> tuple[StartupStep, ...]:
    if pod is None:
        state = StepState.FAILED if refused else StepState.RUNNING
        return (StartupStep(Step.SCHEDULED, state, note="no pod yet"), *_waiting(*list(Step)[1:]))
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    found = view(pod)
    bad = found.phase is Phase.FAILED or bool(found.crashed or seen.stuck)
    made = read_time(metadata.get("creationTimestamp"))
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") != "True":
        state = StepState.FAILED if placed.get("status") == "False" else StepState.RUNNING
        return (StartupStep(Step.SCHEDULED, state, made), *_waiting(*list(Step)[1:]))
    at = read_time(placed.get("lastTransitionTime"))
    steps = [_done(Step.SCHEDULED, made, at)]
    fetch = _download(status, at, bad)
    steps.append(fetch)
    if fetch.state is not StepState.DONE:
        return (*steps, *_waiting(Step.ENVIRONMENT, Step.LOAD, Step.READY))
    return (*steps, *_serving(status, conditions, seen.log, bad))


def _download(status: Object, placed: datetime | None, bad: bool) -> StartupStep:
    inits = status.get("initContainerStatuses") or []
    if not inits:
        started = bool(status.get("containerStatuses"))
        state = StepState.DONE if started else StepState.RUNNING
        return StartupStep(Step.DOWNLOAD, state, placed, note="no download of its own" if started else "")
    for one in inits:
        ended = (one.get("state") or {}).get("terminated") or {}
        if ended and not ended.get("exitCode"):
            continue
        began = read_time(((one.get("state") or {}).get("running") or ended).get("startedAt")) or placed
        return StartupStep(Step.DOWNLOAD, StepState.FAILED if bad else StepState.RUNNING, began, note=_restarts(one))
    times = [(one.get("state") or {}).get("terminated") or {} for one in inits]
    return _done(Step.DOWNLOAD, read_time(times[0].get("startedAt")), read_time(times[-1].get("finishedAt")))


def _serving(
    status: Object, conditions: Mapping[Any, Object], log: Sequence[Stamped], bad: bool
) -> tuple[StartupStep, ...]:
    """Environment, load and ready: one container does all three, and its log tells the first from the second."""
    container = next(
        (c for c in status.get("containerStatuses") or [] if c.get("name") != ORCHESTRATOR), dict[str, Any]()
    )
    running = (container.get("state") or {}).get("running") or {}
    ended = (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
    began = read_time((running or ended or {}).get("startedAt"))
    built = next((line for line in log if any(word in line.text for word in _BUILT)), None)
    loaded = bool(container.get("ready"))
    is_ready = conditions.get("Ready", {})
    ready_at = read_time(is_ready.get("lastTransitionTime")) if is_ready.get("status") == "True" else None
    note = _restarts(container)
    if not began:
        state = StepState.FAILED if bad else StepState.RUNNING
        return (StartupStep(Step.ENVIRONMENT, state, note=note), *_waiting(Step.LOAD, Step.READY))
    if built is None and not loaded:
        state = StepState.FAILED if bad else StepState.RUNNING
        return (StartupStep(Step.ENVIRONMENT, state, began, note=note), *_waiting(Step.LOAD, Step.READY))
    environment = _done(Step.ENVIRONMENT, began, built.at if built else None)
    if not loaded:
        state = StepState.FAILED if bad else StepState.RUNNING
        return (environment, StartupStep(Step.LOAD, state, environment_end(built), note=note), *_waiting(Step.READY))
    load = _done(Step.LOAD, environment_end(built), ready_at)
    if ready_at is None:
        return (environment, load, StartupStep(Step.READY, StepState.RUNNING))
    return (environment, load, StartupStep(Step.READY, StepState.DONE, ready_at, 0.0))


def environment_end(built: Stamped | None) -> datetime | None:
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
