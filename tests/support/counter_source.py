"""Counters with growth of one's choice, for assessments that need no Prometheus. Everything above them is real."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from services.errors import Unavailable
from services.metrics.answers import AnswerHistory
from services.metrics.history import CounterHistory
from services.metrics.prometheus import MetricsReader
from services.metrics.retention import Kept
from services.stats.sums import Sums
from tests.support.waiting import free_port


class CounterSource(MetricsReader):
    """Answers `history` with the rewards it was given, spread evenly over the time asked for; refuses while `down`.

    `answers` has a request for each reward, of which the shares `failed` and `slow` are, by arm. Unless `answering`,
    the counters of requests hold nothing. The split has sent a share `unanswered` more that got no reward. The last
    interval earns a share `lump` of everything. `held` says what is left of the test's time; None: all of it.
    """

    def __init__(self) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}", 1, timeout_s=1)
        self.rewards: dict[str, Sums] = {}
        self.intervals = 60
        self.down = False
        self.failed: dict[str, float] = {}
        self.slow: dict[str, float] = {}
        self.unanswered: dict[str, float] = {}
        self.lump = 0.0
        self.answering = True
        self.held: Callable[[datetime], Kept] | None = None
        self.asked: list[tuple[datetime, datetime]] = []

    def count(self, predictor: str, rewards: Sums) -> None:
        """An arm's counter grows by these."""
        self.rewards[predictor] = self.rewards.get(predictor, Sums()).plus(rewards)

    def kept(self, start: datetime) -> Kept:
        if self.down:
            raise Unavailable("Prometheus", "nothing listens there")
        return self.held(start) if self.held else Kept(start, datetime.now(UTC), start)

    def history(self, namespace: str, deployment: str, start: datetime, end: datetime) -> CounterHistory:
        if self.down:
            raise Unavailable("Prometheus", "nothing listens there")
        self.asked.append((start, end))
        edges = np.linspace(start.timestamp(), end.timestamp(), self.intervals + 1)
        one, chance = np.ones(self.intervals), np.random.default_rng(3)
        noise = {arm: one + 0.05 * chance.standard_normal(self.intervals) for arm in self.rewards}
        feedback = {arm: s.n / self.intervals * one for arm, s in self.rewards.items()}
        last = np.arange(self.intervals) == self.intervals - 1
        parts = {arm: (1 - self.lump) * n / n.sum() + self.lump * last for arm, n in noise.items()}
        earned = {arm: s.total * parts[arm] for arm, s in self.rewards.items()}
        routed = {arm: n * (1 + self.unanswered.get(arm, 0.0)) for arm, n in feedback.items()}
        return CounterHistory(edges, edges[:-1], feedback, earned, routed, 1, "counters of a test")

    def answers(self, namespace: str, deployment: str, start: datetime, end: datetime, slow_ms: float) -> AnswerHistory:
        found = self.history(namespace, deployment, start, end)
        sent = found.feedback if self.answering else {}
        failed, slow = ({arm: share.get(arm, 0.0) * n for arm, n in sent.items()} for share in (self.failed, self.slow))
        p95 = dict.fromkeys(sent, 4.0)
        tables = (sent, failed, sent, slow)
        return AnswerHistory(found.edges, found.since, *tables, slow_ms, p95, True, "counters of a test")
