"""What is left when no cause was recognised: looked for last."""

from __future__ import annotations

from services.startup.building import KILLED_BY_PROBE
from services.startup.known import Known, condition, event, log, state

OPERATOR = Known(
    "operator-failed",
    (condition(r"Seldon's operator gave it up: (?P<why>.+)"),),
    "Seldon's operator did not make what was asked for: {why}",
    "Correct what it names and apply it again; the operator's log says more (`kubectl -n seldon-system logs "
    "deployment/seldon-controller-manager` where Seldon is installed as it is by default).",
)
SYMPTOMS: tuple[Known, ...] = (
    Known(
        "budget-spent",
        (state(r"its model was not loaded within (?P<seconds>[\d.]+) s"),),
        "The model was not loaded within the {seconds} s that it may take.",
        "Give it more time to start.",
        needs_time=True,
    ),
    Known(
        "probe-too-short",
        (event(KILLED_BY_PROBE), state(r"CrashLoopBackOff|restarted|exit code (?:137|143)")),
        "It was killed before it was up: the probes do not wait long enough.",
        "Give it more time to start.",
        needs_time=True,
    ),
    Known(
        "raised",
        (
            log(r"^(?:[\w.]+\.)?(?P<error>\w+(?:Error|Exception)): (?P<why>.+)"),
            state(r"CrashLoopBackOff|keeps ending|ended|restarted"),
        ),
        "It ended with {error}: {why}",
        "The traceback is in the log. This failure is not one that Decant knows.",
    ),
    OPERATOR,
    Known(
        "no-progress",
        (condition(r"no progress for (?P<seconds>\d+) s"),),
        "Its pods did not become ready within the {seconds} s that the rollout may take.",
        "Give it more time to start if it still builds its environment or loads; else its log and events say more.",
        needs_time=True,
    ),
)
