"""Parts that supervisord gave up on are started again, and only those."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.runtime.controller.observe import RetryClock
from services.runtime.revival import revive
from services.runtime.supervisor.client import ProcessInfo


@dataclass
class Supervisord:
    """States by program; remembers what it was told to start."""

    states: dict[str, str]
    started: list[str] = field(default_factory=list)

    def processes(self) -> dict[str, ProcessInfo]:
        return {name: ProcessInfo(name, state, 1, 0.0, 0, "") for name, state in self.states.items()}

    def start(self, name: str) -> None:
        self.started.append(name)


class NoWaiting(RetryClock):
    FIRST_S = 0.0


def test_what_was_given_up_is_started_again_and_the_rest_left_alone() -> None:
    supervisord = Supervisord({"worker": "FATAL", "envoy": "RUNNING", "mlflow": "BACKOFF", "model.x": "FATAL"})
    said: list[str] = []
    revive(supervisord, ["worker", "envoy", "mlflow"], NoWaiting(), said.append)  # type: ignore[arg-type]
    assert supervisord.started == ["worker"]
    assert "worker" in said[0]


def test_a_part_that_keeps_failing_is_tried_ever_more_rarely() -> None:
    supervisord = Supervisord({"worker": "FATAL"})
    clock = RetryClock()
    for _ in range(3):
        revive(supervisord, ["worker"], clock, lambda _: None)  # type: ignore[arg-type]
    assert supervisord.started == [], "its waiting time is not over"
