"""Which late rewards are for the counter of an arm, and why the others are not.

A counter is asked about the split that is in force and the test that runs. What an arm earned before, with another
model behind its name, under another split or by another reward, is true of its outcome and of no use to the counter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.deployments.engine import Engine
from services.deployments.history_text import split_text
from services.domain import V2, DeploymentStatus
from services.errors import DecantError
from services.evidence.store import EvidenceStore
from services.evidence.tests_table import ABTestRecord
from services.traffic.rewards import Reward

OTHER_SPLIT = "their split is no longer in force"
BEFORE_TEST = "they were sent before the A/B test began"
BEFORE_CHANGE = "they were sent before the deployment last changed"
NO_FEEDBACK = "the Open Inference Protocol of their deployment has no feedback"
OTHER_REWARD = "the A/B test goes by another reward"

Key = tuple[str, str]
Priced = Callable[[Mapping[str, Any] | None], Reward | None]


@dataclass(frozen=True)
class Present:
    """A deployment as it is now: its running test and its status, which is None while the engine does not say."""

    test: ABTestRecord | None
    status: DeploymentStatus | None

    def aside(self, segment: str, at: datetime) -> str:
        """Why a row sent at `at` under the split `segment` is not for the counters, or ""."""
        status = self.status
        if status is not None and status.deployment.protocol == V2:
            return NO_FEEDBACK
        if status is not None and segment != split_text(status.in_force or status.requested):
            return OTHER_SPLIT
        if self.test is not None:
            return BEFORE_TEST if at < self.test.started_at else ""
        if status is not None and (status.changed_at is None or at < status.changed_at):
            return BEFORE_CHANGE
        return ""

    def other_reward(self, reward: Reward) -> str:
        """Why what this reward pays is not for the counters, or ""."""
        if self.test is None or Reward.from_json(self.test.rule["reward"]) == reward:
            return ""
        return OTHER_REWARD


class Counting:
    """What is for the counters of some deployments at this moment.

    Raises Unavailable, when it is made, if the store does not answer. While the engine does not, a reward waits for
    `resend`, which asks again.
    """

    def __init__(self, engine: Engine, store: EvidenceStore, keys: Iterable[Key]) -> None:
        self._present = {key: _present(engine, store, *key) for key in set(keys)}

    def aside(self, key: Key, segment: str, at: datetime) -> str:
        """Why a row of this deployment is not for the counters, or ""."""
        return self._present[key].aside(segment, at) if key in self._present else ""

    def test_of(self, key: Key) -> ABTestRecord | None:
        """The running test of a deployment, unless one of its models has been replaced."""
        return self._present[key].test if key in self._present else None

    def gate(self, priced: Priced) -> Callable[[Mapping[str, Any], Mapping[str, Any] | None, bool], str]:
        """The same for rows of the ledger, as services.evidence.late.attach asks; `priced` names the formula."""

        def aside(row: Mapping[str, Any], spec: Mapping[str, Any] | None, by_formula: bool) -> str:
            key = row["namespace"], row["deployment"]
            reward = priced(spec) if by_formula else None
            words = self.aside(key, row["segment"], row["at"])
            if words or reward is None or key not in self._present:
                return words
            return self._present[key].other_reward(reward)

        return aside


def aside_sentence(words: str, number: int) -> str:
    """`12 stay in the ledger alone: their split is no longer in force`, for 12 rewards set aside with these words."""
    if number == 1:
        one = words.replace("their ", "its ", 1).replace("they were", "it was", 1)
        return f"1 stays in the ledger alone: {one}"
    return f"{number:,} stay in the ledger alone: {words}"


def _present(engine: Engine, store: EvidenceStore, namespace: str, deployment: str) -> Present:
    test = store.tests.running(namespace, deployment)
    try:
        status = engine.get(namespace, deployment)
    except DecantError:  # sending says it in words; until then the reward waits
        return Present(test, None)
    # A test whose model was replaced has ended, though nobody may have looked at it since.
    return Present(None if test is not None and _overtaken(test, status) else test, status)


def _overtaken(test: ABTestRecord, status: DeploymentStatus) -> bool:
    models = {p.name: p.model_uri for p in status.deployment.live}
    arms = {test.rule["champion"]: test.model_a, test.rule["challenger"]: test.model_b}
    return any(models.get(name) != uri for name, uri in arms.items())
