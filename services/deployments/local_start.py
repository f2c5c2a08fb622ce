"""A predictor's way up on this machine, read from the log of its model server and the controller's word. Pure.

The environment is the one that Decant runs in, so what takes time there is importing the libraries; that comes before
the download, since the model server does the fetching.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from services.domain import Phase, PredictorStatus, Startup, StartupStep, Step, StepState
from services.startup.recognise import Traces, recognise

BUDGETS_S = (300, 600, 1200, 2400, 7200)
"""Start budgets to propose where a model was not loaded in time; the next that at least doubles what it had."""
ORDER = (Step.SCHEDULED, Step.ENVIRONMENT, Step.DOWNLOAD, Step.LOAD, Step.READY)
_MARKS: Mapping[Step, str] = {
    Step.SCHEDULED: "Starting the model server",
    Step.ENVIRONMENT: "Libraries are imported",
    Step.DOWNLOAD: "The model's files are there",
    Step.LOAD: "Ready: predictor ",
}
"""What the model server says when a step is over."""
_TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")
_TROUBLE = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL) |^Traceback |^\w*Error: ")


def startup_of(status: PredictorStatus, log: Sequence[str], *, port: int | None, budget_s: float) -> Startup:
    """The steps and, once it has failed, the diagnosis.

    Args:
        log: the last lines of the model server that is furthest behind, of several starts perhaps.
        port: the one it was given; None while it has none.
        budget_s: seconds that its model may take to load.
    """
    failed = status.phase is Phase.FAILED
    life = _life(log, failed)
    diagnosis = None
    if failed:
        larger_s = next((b for b in BUDGETS_S if b >= 2 * budget_s), None)
        diagnosis = recognise(Traces(log=life, states=[status.reason]), larger_budget_s=larger_s)
        if diagnosis and diagnosis.key == "budget-spent" and f" {budget_s:g} s" not in status.reason:
            diagnosis = None  # it has been given more time since, and is being tried again
    return Startup(status.name, _steps(status, life, port), diagnosis, tuple(life), budget_s)


def came_up(log: Sequence[str]) -> bool:
    """Whether the newest start in this log got as far as a loaded model."""
    return bool(_said(_life(log, failed=False), Step.LOAD))


def _life(log: Sequence[str], failed: bool) -> Sequence[str]:
    """The lines of one start: the newest, or the newest that went wrong while the next is under way already."""
    begins = [i for i, line in enumerate(log) if _MARKS[Step.SCHEDULED] in line]
    if not begins:
        return log
    lives = [log[a:b] for a, b in zip(begins, [*begins[1:], len(log)], strict=True)]
    wrong = [life for life in lives if any(_TROUBLE.search(line) for line in life)]
    return wrong[-1] if failed and wrong else lives[-1]


def _steps(status: PredictorStatus, life: Sequence[str], port: int | None) -> tuple[StartupStep, ...]:
    if status.phase is Phase.READY:
        passed = len(ORDER)
    else:
        seen = [step for step in ORDER if step in _MARKS and _said(life, step)]
        passed = ORDER.index(seen[-1]) + 1 if seen else 0
    steps = []
    for place, step in enumerate(ORDER):
        note = f"port {port}" if step is Step.SCHEDULED and port is not None else ""
        began = _at(life, ORDER[place - 1]) if place else None
        if place < passed:
            ended = _at(life, step) if step in _MARKS else began
            steps.append(StartupStep(step, StepState.DONE, began, _between(began, ended), note))
        elif place == passed:
            state = StepState.FAILED if status.phase is Phase.FAILED else StepState.RUNNING
            steps.append(StartupStep(step, state, began, note=note))
        else:
            steps.append(StartupStep(step, StepState.WAITING))
    return tuple(steps)


def _said(life: Sequence[str], step: Step) -> str:
    return next((line for line in life if _MARKS[step] in line), "")


def _at(life: Sequence[str], step: Step) -> datetime | None:
    found = _TIME.match(_said(life, step))
    return datetime.strptime(found.group(0), "%Y-%m-%d %H:%M:%S,%f").astimezone() if found else None


def _between(began: datetime | None, ended: datetime | None) -> float | None:
    return max(0.0, (ended - began).total_seconds()) if began and ended else None
