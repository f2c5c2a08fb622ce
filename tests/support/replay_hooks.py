"""Hooks of a replay over a real engine, with the outcomes in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from services.deployments.engine import Engine
from services.domain import Endpoint, Outcome
from services.traffic.replay import Progress


class EngineHooks:
    """Implements `services.traffic.replay.ReplayHooks`; `on_save` is called after each batch."""

    def __init__(
        self, engine: Engine, namespace: str, name: str, on_save: Callable[[Progress], None] = lambda _: None
    ) -> None:
        self.engine, self._where, self.on_save = engine, (namespace, name), on_save
        self.outcomes: list[Outcome] = []

    def endpoint(self, predictor: str | None) -> Endpoint:
        return self.engine.endpoint(*self._where, predictor)

    def segment(self) -> str:
        return self.engine.get(*self._where).requested.text

    def down(self, arm: str) -> bool:
        return False

    def save(self, outcomes: Sequence[Outcome], progress: Progress) -> None:
        self.outcomes += outcomes
        self.on_save(progress)

    def by_arm(self) -> dict[str, int]:
        """Rows by the arm that answered."""
        return dict(Counter(outcome.predictor for outcome in self.outcomes))
