"""A look before a replay: a few rows to each arm, pinned, with nothing told to anybody and nothing recorded.

The answers are kept apart from what they would earn, so that trying another reward sends nothing again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.domain import Endpoint, Relay
from services.errors import InvalidPayload
from services.stats.gates import hill, tail
from services.stats.sums import Sums
from services.traffic.asking import Reply, Route, Row, ask, unwrap
from services.traffic.replay import ReplayRow
from services.traffic.reward_values import number, single
from services.traffic.rewards import Reward
from services.traffic.sending import GaveUp, Sender

PREVIEW_ROWS = 200
PATIENCE_S = 5.0
AT_ONCE = 16
BINS = 30
HEAVY = 100.0
"""So many times the median, and the largest reward leaves all others in one bin of a linear axis."""
_runs = count()


@dataclass(frozen=True)
class Preview:
    """What each arm answered. `predictions[arm][i]` belongs to `rows[i]` and `truths[i]`; None where it failed.

    `errors` holds the words of the last failure of an arm, if it had one.
    """

    rows: tuple[int, ...]
    truths: tuple[object, ...]
    predictions: Mapping[str, tuple[object, ...]]
    errors: Mapping[str, str]


@dataclass(frozen=True)
class ArmPreview:
    """What one arm would earn: `rewards` shape (n,), in the unit of the reward.

    `answered` rows have a prediction; `failed` ones have none, or one that earns nothing, and `error` says why.
    Answered rows `without_truth` earn nothing either, and nothing failed.
    """

    predictor: str
    rewards: NDArray[np.float64]
    answered: int
    failed: int
    error: str
    without_truth: int = 0

    @property
    def sums(self) -> Sums:
        return Sums.of(self.rewards)


@dataclass(frozen=True)
class PreviewSummary:
    """The arms side by side. `warning` says why the reward cannot be averaged, if it cannot; `scale` suggests one."""

    arms: tuple[ArmPreview, ...]
    warning: str
    scale: float | None


@dataclass(frozen=True)
class Histogram:
    """Edges, shape (BINS + 1,), and rewards per bin and arm, shape (BINS,): the same bins for all arms.

    `logarithmic`: the bins are equally wide on a logarithmic axis, because a few rewards dwarf all others.
    """

    edges: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.int64]]
    logarithmic: bool


async def preview(
    endpoints: Mapping[str, Endpoint],
    rows: Sequence[ReplayRow],
    names: Sequence[str],
    timeout_s: float,
    relay: Relay | None = None,
    columns: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Preview:
    """Send `rows` to each arm of `endpoints`. Failures are part of the answer; no feedback is given.

    `columns`: those of `names` that an arm is sent, where that is not all of them; "" for arms that are not named.
    """
    run = next(_runs)
    routes = [
        Route.to(arm, endpoint, names, columns.get(arm) or columns.get("", ())) for arm, endpoint in endpoints.items()
    ]
    gate = asyncio.Semaphore(AT_ONCE)

    async with Sender(AT_ONCE, timeout_s, PATIENCE_S, relay) as sender:

        async def one(route: Route, row: ReplayRow) -> Reply:
            async with gate:
                puid = f"preview-{run}-{row.index}-{route.name}"
                try:
                    return await ask(sender, route, Row.of(row.values), puid)
                except GaveUp as error:
                    return Reply(route.name, 0.0, error=error.words)

        replies = await asyncio.gather(*(one(route, row) for route in routes for row in rows))
    by_arm = {route.name: replies[i * len(rows) : (i + 1) * len(rows)] for i, route in enumerate(routes)}
    return Preview(
        rows=tuple(row.index for row in rows),
        truths=tuple(row.truth for row in rows),
        predictions={arm: tuple(None if r.error else unwrap(r.prediction) for r in got) for arm, got in by_arm.items()},
        errors={arm: words for arm, got in by_arm.items() if (words := next((r.error for r in got if r.error), ""))},
    )


def summarise(seen: Preview, reward: Reward) -> PreviewSummary:
    """What the arms would earn by `reward`; the first arm is the champion, from whose errors a scale is suggested."""
    arms = tuple(_arm(seen, arm, reward) for arm in seen.predictions)
    first, *others = arms
    second = others[0] if others else first
    indexes = [hill(np.abs(arm.rewards)) for arm in (first, second)]
    warning = tail(first.sums, second.sums, hill_a=indexes[0], hill_b=indexes[1])
    return PreviewSummary(arms, warning or "", suggest_scale(seen.truths, seen.predictions[first.predictor]))


def suggest_scale(truths: Sequence[object], predictions: Sequence[object]) -> float | None:
    """The standard deviation of the errors, to three digits: an error of usual size then earns one half.

    Rows without a truth or an answer are left out. None where there are fewer than two errors, all the same, or no
    numbers at all.
    """
    pairs = [pair for pair in zip(truths, predictions, strict=True) if None not in pair]
    try:
        y = np.array([number("truth", single("truth", value)) for value, _ in pairs])
        f = np.array([number("prediction", single("prediction", value)) for _, value in pairs])
    except InvalidPayload:
        return None
    spread = Sums.of(y - f).sd
    return float(f"{spread:.3g}") if spread is not None and 0 < spread < np.inf else None


def histogram(summary: PreviewSummary) -> Histogram:
    """The rewards of all arms in the same bins; logarithmic where all are positive and the tail is heavy."""
    rewards = np.concatenate([arm.rewards for arm in summary.arms])
    logarithmic = bool(rewards.size and rewards.min() > 0 and rewards.max() > HEAVY * np.median(rewards))
    if logarithmic:
        edges = np.geomspace(rewards.min(), rewards.max(), BINS + 1)
        edges[0], edges[-1] = rewards.min(), rewards.max()  # not a bit inside of them, which would lose one
    else:
        edges = np.histogram_bin_edges(rewards, bins=BINS)
    counts = {arm.predictor: np.histogram(arm.rewards, bins=edges)[0] for arm in summary.arms}
    return Histogram(edges, counts, logarithmic)


def _arm(seen: Preview, arm: str, reward: Reward) -> ArmPreview:
    earned, failed, without, error = [], 0, 0, seen.errors.get(arm, "")
    for truth, prediction in zip(seen.truths, seen.predictions[arm], strict=True):
        if prediction is None:
            failed += 1
            continue
        if truth is None:  # as the replay does, whatever the formula would make of it
            without += 1
            continue
        try:
            earned.append(reward(truth, prediction))
        except InvalidPayload as problem:
            failed, error = failed + 1, problem.sentence
    rewards = np.array(earned, dtype=np.float64)
    finite = rewards[np.isfinite(rewards)]
    answered = sum(prediction is not None for prediction in seen.predictions[arm])
    return ArmPreview(arm, finite, answered, failed + len(rewards) - len(finite), error, without)
