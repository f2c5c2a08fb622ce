"""The only PromQL client. Nothing else in Decant talks to Prometheus; nothing here invents a number.

An empty answer is an empty series and a missing point is None, never 0. Thread-safe: pages ask for charts in parallel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.domain import Deployment
from services.metrics import counters, queries, split_queries
from services.metrics.access import OPEN, Access
from services.metrics.answers import AnswerHistory, read_answers
from services.metrics.beginnings import Beginnings, watched_before
from services.metrics.door import PrometheusDoor
from services.metrics.examining import examine
from services.metrics.history import CounterHistory, read_history
from services.metrics.model import QUANTILES, UNITS, ArmTotals, Chart, ChartData, Series, Tiles
from services.metrics.queries import PLAIN, Labels, Router, Selection
from services.metrics.retention import Kept, has_forgotten
from services.metrics.symptoms import Symptom, recognise

LAST_SAMPLE_WITHIN_S = 86_400
BEFORE_START_S = 60
RAW_RANGE_LIMIT_S = 6 * 3600
"""Up to here the gateway's counters are read sample by sample; beyond, at MAX_POINTS steps, to bound the answer."""


class MetricsReader:
    """Reads rates, rewards, latencies and counts of deployments from one Prometheus.

    Every method raises Unavailable("Prometheus") when it does not answer and Rejected when it refuses a query.
    """

    def __init__(
        self,
        base_url: str,
        scrape_interval_s: int,
        timeout_s: float = 3,
        *,
        labels: Labels = PLAIN,
        access: Access = OPEN,
    ) -> None:
        self.base_url = base_url
        self._scrape_s = scrape_interval_s
        self._labels = labels
        self._door = PrometheusDoor(base_url, timeout_s, access)
        self._beginnings = Beginnings(self._door, labels, scrape_interval_s)

    def ping(self) -> None:
        """Return when Prometheus answers queries."""
        self._door.probe()

    def chart(
        self,
        kind: Chart,
        namespace: str,
        deployment: str,
        start: datetime,
        end: datetime,
        quantiles: Sequence[float] = QUANTILES,
    ) -> ChartData:
        """One chart from `start` to `end`. Its points lie on whole steps, so that a refresh repeats the same ones.

        `quantiles` (of 0 to 1) matter to LATENCY only.
        """
        step_s = queries.choose_step_s((end - start).total_seconds(), self._scrape_s)
        scrapes = queries.RARE_SCRAPES if kind is Chart.ERRORS else queries.MIN_SCRAPES
        window_s = queries.choose_window_s(step_s, self._scrape_s, scrapes)
        start, newest = _floor(start, step_s), _floor(end, step_s)
        selection = self._select(namespace, deployment)
        promql = {
            Chart.RPS: lambda: queries.rps(selection, window_s),
            Chart.REWARD: lambda: queries.reward(selection, window_s),
            Chart.LATENCY: lambda: queries.latencies_ms(selection, window_s, quantiles),
            Chart.ERRORS: lambda: queries.errors(selection, window_s),
        }[kind]()
        found = self._door.range(promql, start, newest, step_s)
        series = sorted((_series(row, start, newest, step_s) for row in found), key=lambda s: s.label)
        return ChartData(kind, tuple(series), promql, window_s, step_s, UNITS[kind], start, end)

    def tiles(self, namespace: str | None, deployment: str | None, window_s: int, end: datetime | None = None) -> Tiles:
        """Rate, success and errors of all predictions in the last `window_s` seconds; None, None: of everything."""
        end = end or datetime.now(UTC)
        start = end - timedelta(seconds=window_s)
        selection = self._select(namespace, deployment)
        by_class: dict[str, float] = defaultdict(float)
        for (_, status), gained in self._answers(selection, start, end).items():
            by_class[status] += gained
        n = round(sum(by_class.values()))
        now_s = max(queries.MIN_SCRAPES * self._scrape_s, 10)
        now = self._door.instant(f"sum({queries.rate_by_deployment(selection, now_s)})", end)
        failed_4, failed_5 = by_class.get("4", 0.0), by_class.get("5", 0.0)
        return Tiles(
            rate=n / window_s if by_class else None,
            rate_now=_value(now[0]["value"][1]) if now else None,
            success_ratio=(n - failed_4 - failed_5) / n if n else None,
            rate_4xx=failed_4 / window_s if by_class else None,
            rate_5xx=failed_5 / window_s if by_class else None,
            n=n,
            window_s=window_s,
            now_s=now_s,
        )

    def rates_now(self) -> dict[tuple[str, str], float]:
        """Predictions per second right now by (namespace, deployment), of every deployment in one query."""
        window_s = max(queries.MIN_SCRAPES * self._scrape_s, 10)
        found = self._door.instant(queries.rate_by_deployment(self._select(None, None), window_s), datetime.now(UTC))
        return {
            (row["metric"].get(self._labels.namespace, ""), row["metric"].get("deployment_name", "")): float(
                row["value"][1]
            )
            for row in found
        }

    def totals(self, namespace: str, deployment: str, start: datetime, end: datetime) -> list[ArmTotals]:
        """Whole counts per predictor between two times, from raw samples; sorted by name."""
        selection = self._select(namespace, deployment)
        requests: dict[str, float] = defaultdict(float)
        failed: dict[str, float] = defaultdict(float)
        for (arm, status), gained in self._answers(selection, start, end).items():
            predictor = arm.rpartition("|")[2]
            requests[predictor] += gained
            if status in ("4", "5"):
                failed[predictor] += gained
        feedback = self._gained_by_predictor(queries.feedback_counter(selection), start, end)
        rewards = self._gained_by_predictor(queries.reward_counter(selection), start, end)
        span_s = max(round((end - start).total_seconds()), queries.MIN_SCRAPES * self._scrape_s)
        p50 = self._by_predictor(queries.latency_over(selection, span_s, 0.5), end)
        p95 = self._by_predictor(queries.latency_over(selection, span_s, 0.95), end)
        return [
            ArmTotals(
                predictor=name,
                requests=round(requests[name]),
                errors=round(failed[name]),
                feedback=round(feedback.get(name, 0)),
                reward_sum=rewards.get(name, 0.0),
                p50_ms=p50.get(name),
                p95_ms=p95.get(name),
            )
            for name in sorted({*requests, *feedback})
        ]

    def router_counts(self, namespace: str, deployment: str, since: datetime) -> dict[str, int]:
        """Predictions that the gateway sent to each arm through the split since then; {} when it counted nothing.

        Counted for all arms from the first scrape at or after `since`; a restart of the gateway loses nothing but
        what came between its last scrape and its end.
        """
        now = datetime.now(UTC)
        span_s = math.ceil((now - since).total_seconds())
        if span_s <= 0:
            return {}
        counter = split_queries.router_counter(self._select(namespace, deployment))
        if span_s <= RAW_RANGE_LIMIT_S and self._labels.router is Router.DECANT:
            rows = self._door.instant(f"{counter}[{span_s}s]", now)
        else:
            rows = self._door.range(counter, since, now, queries.choose_step_s(span_s, self._scrape_s))
        series = [(row["metric"][queries.GATEWAY_CLUSTER].rpartition("|")[2], _samples(row["values"])) for row in rows]
        start = counters.common_start([samples for _, samples in series], since.timestamp())
        counts: dict[str, float] = defaultdict(float)
        if start is not None:
            for predictor, samples in series:
                counts[predictor] += counters.gained_since(samples, start)
        return {predictor: round(n) for predictor, n in sorted(counts.items())}

    def history(self, namespace: str, deployment: str, start: datetime, end: datetime) -> CounterHistory:
        """What every counter of the deployment grew by, interval by interval."""
        return read_history(self._door, self._select(namespace, deployment), start, end, self._scrape_s)

    def kept(self, start: datetime) -> Kept:
        """Whether what has been counted since `start` is still held from the beginning, and until when it will be."""
        return self._beginnings.kept(start, datetime.now(UTC))

    def answers(self, namespace: str, deployment: str, start: datetime, end: datetime, slow_ms: float) -> AnswerHistory:
        """How the deployment's live requests were answered, interval by interval; `slow_ms`: what counts as slow."""
        return read_answers(self._door, self._select(namespace, deployment), start, end, self._scrape_s, slow_ms)

    def examine(self, deployment: Deployment, since: datetime | None = None) -> list[Symptom]:
        """What is wrong with the metrics of a deployment, the worst first; empty when nothing is to be seen.

        `since` is the beginning of a test that is read from its counters, if one runs.
        """
        predictors = [predictor.name for predictor in deployment.predictors]
        found = examine(self._door, self._select(deployment.namespace, deployment.name), predictors)
        return recognise(
            found if since is None else replace(found, kept=self.kept(since)),
            namespace=deployment.namespace,
            deployment=deployment.name,
            predictors=predictors,
            namespace_label=self._labels.namespace,
            scrape_s=self._scrape_s,
        )

    def last_sample(self, namespace: str, deployment: str) -> datetime | None:
        """When anything was last scraped of the deployment, within the last day; None if nothing was."""
        query = queries.last_sample(self._select(namespace, deployment), LAST_SAMPLE_WITHIN_S)
        found = self._door.instant(query, datetime.now(UTC))
        return datetime.fromtimestamp(float(found[0]["value"][1]), UTC) if found else None

    def _select(self, namespace: str | None, deployment: str | None) -> Selection:
        return Selection(namespace, deployment, self._labels)

    def _answers(self, selection: Selection, start: datetime, end: datetime) -> dict[tuple[str, str], float]:
        """Predictions by (`namespace|deployment|predictor`, first digit of the status), as clients got them."""
        served: dict[tuple[str, str], float] = defaultdict(float)
        for labels, gained in self._gained(queries.request_counter(selection), start, end):
            arm = "|".join(
                labels.get(name, "") for name in (self._labels.namespace, "deployment_name", "predictor_name")
            )
            served[arm, labels.get("code", "")[:1]] += gained
        passed: dict[tuple[str, str], float] = defaultdict(float)
        for labels, gained in self._gained(queries.answer_counter(selection), start, end):
            arm = labels[queries.GATEWAY_CLUSTER].partition("|")[2]
            passed[arm, labels.get(queries.GATEWAY_CLASS, "")] += gained
        return counters.most_by_class(served, passed)

    def _gained(self, promql: str, start: datetime, end: datetime) -> list[tuple[dict[str, str], float]]:
        """The growth of each counter from `start` to `end`, with its labels."""
        step_s = queries.choose_step_s((end - start).total_seconds(), self._scrape_s)
        # The steps must end at `end`, or the newest samples would be missed. They begin before `start`: a scrape that
        # failed just then would make an old counter look newborn, and all its past would be counted.
        steps = math.ceil(((end - start).total_seconds() + BEFORE_START_S) / step_s)
        first = end - timedelta(seconds=steps * step_s)
        rows = [(row["metric"], _samples(row["values"])) for row in self._door.range(promql, first, end, step_s)]
        late = [labels for labels, samples in rows if samples[0][0] > start.timestamp()]
        watch = self._watch(late, first, end, step_s) if late else {}
        anything = watch.get(None, {})
        # A Prometheus that has watched nothing before started with what it watches: all of that is new.
        oldest = min(anything, default=0)
        if (
            late
            and oldest > first.timestamp()
            and not watched_before(self._door, self._labels, first)
            and not has_forgotten(self._door, oldest)
        ):
            return [(labels, counters.gained_since(samples, start.timestamp())) for labels, samples in rows]
        found = []
        for labels, samples in rows:
            own = watch.get((labels.get("job", ""), labels.get("instance", "")), {})
            newborn = not anything or counters.born_watched(samples[0][0], step_s, own, anything)
            found.append((labels, counters.gained_since(samples, start.timestamp(), newborn=newborn)))
        return found

    def _watch(
        self, late: Sequence[dict[str, str]], first: datetime, end: datetime, step_s: int
    ) -> dict[tuple[str, str] | None, dict[float, float]]:
        """`up` by time of the targets of these series, by (job, instance); None: how many targets were watched."""
        query = queries.alive([labels.get("instance", "") for labels in late], self._labels)
        watch: dict[tuple[str, str] | None, dict[float, float]] = {}
        for row in self._door.range(query, first, end, step_s):
            labels = row["metric"]
            target = (labels.get("job", ""), labels["instance"]) if "instance" in labels else None
            watch[target] = dict(_samples(row["values"]))
        return watch

    def _gained_by_predictor(self, promql: str, start: datetime, end: datetime) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for labels, gained in self._gained(promql, start, end):
            found[labels.get("predictor_name", "")] += gained
        return found

    def _by_predictor(self, promql: str, at: datetime) -> dict[str, float | None]:
        found = self._door.instant(promql, at)
        return {row["metric"].get("predictor_name", ""): _value(row["value"][1]) for row in found}


def _floor(at: datetime, step_s: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC)


def _value(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _samples(values: list[list[Any]]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in values]


def _series(row: dict[str, Any], start: datetime, end: datetime, step_s: int) -> Series:
    """One row of a range answer on the full grid of steps, with None where it has no finite value."""
    labels = row["metric"]
    predictor = labels.get("predictor_name")
    detail = f"p{float(labels['quantile']) * 100:g}" if "quantile" in labels else labels.get("class", "")
    known = {round(float(at)): _value(value) for at, value in row["values"]}
    grid = range(round(start.timestamp()), round(end.timestamp()) + 1, step_s)
    return Series(
        label=" ".join(part for part in (predictor, detail) if part) or "total",
        predictor=predictor,
        times=tuple(datetime.fromtimestamp(at, UTC) for at in grid),
        values=tuple(known.get(at) for at in grid),
        detail=detail,
    )
