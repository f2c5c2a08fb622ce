"""What the metrics service answers with: frozen values that carry their query, their window and their n."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Chart(StrEnum):
    """The charts of the Monitor page, each one line per predictor (and quantile, or class of error)."""

    RPS = "rps"
    REWARD = "reward"
    LATENCY = "latency"
    ERRORS = "errors"


UNITS: dict[Chart, str] = {
    Chart.RPS: "requests/s",
    Chart.REWARD: "reward",
    Chart.LATENCY: "ms",
    Chart.ERRORS: "errors/s",
}
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `values` has None where nothing was measured: a gap is not a zero. `detail`: p95, 4xx, 5xx or empty."""

    label: str
    predictor: str | None
    times: tuple[datetime, ...]
    values: tuple[float | None, ...]
    detail: str = ""

    @property
    def empty(self) -> bool:
        return all(value is None for value in self.values)


@dataclass(frozen=True, slots=True)
class ChartData:
    """The lines of one chart, with the exact query behind them. `window_s`: each point looks back this far."""

    chart: Chart
    series: tuple[Series, ...]
    promql: str
    window_s: int
    step_s: int
    unit: str
    start: datetime
    end: datetime

    @property
    def empty(self) -> bool:
        return all(series.empty for series in self.series)


@dataclass(frozen=True, slots=True)
class Tiles:
    """Predictions of one deployment (or of all) as four numbers. All rates are per second.

    `rate_now` looks back `now_s` seconds; everything else covers the whole window of `window_s` seconds, over which
    `n` predictions were answered. Ratios and rates are None when there is nothing to divide or to look at.
    """

    rate: float | None
    rate_now: float | None
    success_ratio: float | None
    rate_4xx: float | None
    rate_5xx: float | None
    n: int
    window_s: int
    now_s: int


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """What one predictor did in a window. Latencies are None without traffic; reward_sum belongs to `feedback` rows."""

    predictor: str
    requests: int
    errors: int
    feedback: int
    reward_sum: float
    p50_ms: float | None
    p95_ms: float | None

    @property
    def mean_reward(self) -> float | None:
        return self.reward_sum / self.feedback if self.feedback else None
