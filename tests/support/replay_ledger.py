"""A replay without jobs: its rows, and hooks that keep what they are told in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from services.deployments.engine import Engine
from services.domain import Endpoint, Outcome, OutcomeStatus
from services.errors import Unavailable
from services.traffic.replay import Progress, ReplayPlan, ReplayRow, StopSignal
from services.traffic.replayer import run_replay
from services.traffic.rewards import Reward, RewardKind

BOUNDED = Reward(RewardKind.BOUNDED)


class MemoryLedger:
    """Hooks that keep everything in memory, as the store would: one outcome per row."""

    def __init__(self, url: str, on_save: Callable[[Progress], None] = lambda _: None) -> None:
        self.url, self.on_save = url, on_save
        self.split = "a=80,b=20"
        self.outcomes: dict[int, Outcome] = {}
        self.handed_over = 0
        self.failures = 0
        self.known_down: set[str] = set()
        self.progress: list[Progress] = []

    def endpoint(self, predictor: str | None) -> Endpoint:
        headers = (("x-decant-predictor", predictor),) if predictor else ()
        return Endpoint(f"{self.url}/seldon/seldon/wine", headers)

    def segment(self) -> str:
        return self.split

    def down(self, arm: str) -> bool:
        return arm in self.known_down

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("The evidence store", "locked")
        for outcome in outcomes:
            assert outcome.row is not None
            self.outcomes.setdefault(outcome.row, outcome)
        self.handed_over += len(outcomes)
        self.progress.append(progress)
        self.on_save(progress)

    def rewards(self) -> dict[str, tuple[int, float]]:
        found: dict[str, tuple[int, float]] = {}
        for outcome in self.outcomes.values():
            if outcome.status is OutcomeStatus.OK and outcome.reward is not None:
                n, total = found.get(outcome.predictor, (0, 0.0))
                found[outcome.predictor] = (n + 1, total + outcome.reward)
        return found

    def by_arm(self) -> dict[str, int]:
        """Rows by the arm that answered."""
        return dict(Counter(outcome.predictor for outcome in self.outcomes.values()))


class EngineLedger(MemoryLedger):
    """The same over a real engine, which says where to send and which split is in force."""

    def __init__(
        self, engine: Engine, namespace: str, name: str, on_save: Callable[[Progress], None] = lambda _: None
    ) -> None:
        super().__init__("", on_save)
        self._engine, self._where = engine, (namespace, name)

    def endpoint(self, predictor: str | None) -> Endpoint:
        return self._engine.endpoint(*self._where, predictor)

    def segment(self) -> str:
        return self._engine.get(*self._where).requested.text


def plan(rows: int = 200, **values: Any) -> ReplayPlan:
    made = [ReplayRow(i, (float(i), "red"), float(i)) for i in range(rows)]
    return ReplayPlan(
        7, "seldon", "wine", ("x", "colour"), made, BOUNDED, **({"patience_s": 20.0, "outage_s": 20.0} | values)
    )


def replayed(ledger: MemoryLedger, the_plan: ReplayPlan, stop: StopSignal | None = None) -> Progress:
    return asyncio.run(run_replay(the_plan, ledger, stop or StopSignal()))
