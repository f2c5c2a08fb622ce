"""What can be wrong with the metrics of a deployment, recognised from what Prometheus holds of it. Pure.

Each symptom names the fault, what it does to the numbers, and the mend. `examining` asks Prometheus; nothing here does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import median

from services.metrics.queries import MIN_SCRAPES
from services.metrics.retention import LET_UP_THROUGH, UNTOLD, Kept, going, lost, to_raise
from services.settings.prometheus import MAX_SCRAPE_S

EXECUTOR_PORT, WRAPPER_PORT = 8000, 6000
"""Where Seldon's pods show the counters of requests, and those of rewards. Both are container ports named `metrics`."""

LATE = 1.5
"""Scrapes that come this many times slower than the setting says make windows too short."""

HIDDEN_SHARE = 0.5
"""With more of the predictions than this in the lowest bucket, even the median is only known to be below it."""

FINE_S = 0.001
"""Nobody misses what is hidden below this."""

LOST_SHARE, LOST_LEAST = 0.02, 5
"""Feedback that is missing from the counters by more than both of these was not merely counted between two scrapes."""

SCRAPE_LABELS = frozenset({"job", "endpoint", "container", "service", "prometheus", "prometheus_replica"})
"""Labels that say who scraped, not what. `service` is Seldon's own here, so it is looked at by itself."""

Labels = Mapping[str, str]


class Fault(StrEnum):
    """What is wrong."""

    NOTHING_WATCHED = "nothing-watched"
    NAMESPACE_LABEL = "namespace-label"
    NO_REQUESTS = "no-requests-counter"
    TARGET_DOWN = "target-down"
    NO_REWARDS = "no-rewards-counter"
    LABELS_ABSENT = "labels-absent"
    SCRAPED_TWICE = "scraped-twice"
    FORGOTTEN = "beginning-forgotten"
    NO_UP = "no-up"
    FORGETS_SOON = "retention-too-short"
    SLOW_SCRAPES = "slow-scrapes"
    ZERO_REWARDS = "zero-rewards-dropped"
    NEGATIVE_REWARDS = "negative-rewards"
    COARSE_BUCKETS = "coarse-buckets"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One fault: what is so, and what to do. `wrong`: numbers are wrong by it, and not only missing or blurred."""

    fault: Fault
    sentence: str
    mend: str
    wrong: bool = False


@dataclass(frozen=True)
class Found:
    """What Prometheus holds of one deployment.

    Attributes:
        requests: labels and scrape times (unix seconds) of each series that counts predictions, of the last minutes.
        elsewhere: labels of series with the deployment's name that the settings' namespace label does not find.
        others: how many targets Prometheus watches at all.
        down: labels of targets of the deployment that cannot be scraped.
        fed: feedback requests that were answered well, by predictor, since their pods began.
        counted: feedbacks in the counters of rewards, by predictor, since then.
        reward_resets: by predictor, how often a sum of rewards fell although its count did not.
        buckets: by predictor, predictions at or below each bucket's edge in seconds.
        kept: what is held of the running test that is read from these counters; None if there is none.
    """

    requests: Sequence[tuple[Labels, Sequence[float]]] = ()
    elsewhere: Sequence[Labels] = ()
    others: int = 0
    down: Sequence[Labels] = ()
    fed: Mapping[str, float] = field(default_factory=dict)
    counted: Mapping[str, float] = field(default_factory=dict)
    reward_resets: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    kept: Kept | None = None


def recognise(
    found: Found, *, namespace: str, deployment: str, predictors: Sequence[str], namespace_label: str, scrape_s: int
) -> list[Symptom]:
    """Every fault of the deployment's metrics, the worst first; empty when there is none to see."""
    seen = [labels for labels, _ in found.requests]
    if not seen:
        return [*_down(found), *_unseen(found, namespace, deployment, namespace_label)]
    checks = (
        _twice(seen),
        _dropped_zeros(found),
        _negative(found),
        _forgotten(found.kept),
        _untold(found.kept),
        _nameless(seen),
        _down(found),
        _absent(seen, predictors, found.down),
        _no_rewards(found),
        _forgets_soon(found.kept),
        _slow(found.requests, scrape_s),
        _coarse(found),
    )
    return [symptom for check in checks for symptom in check]


def _unseen(found: Found, namespace: str, deployment: str, namespace_label: str) -> Iterable[Symptom]:
    if found.elsewhere:
        carriers = Counter(key for labels in found.elsewhere for key, value in labels.items() if value == namespace)
        if carriers:
            label = carriers.most_common(1)[0][0]
            yield Symptom(
                Fault.NAMESPACE_LABEL,
                f"Prometheus has “{deployment}”, but its namespace is in the label {label}, not in {namespace_label}.",
                f"Set DECANT_PROMETHEUS_NAMESPACE_LABEL={label}.",
            )
        else:
            yield Symptom(
                Fault.NAMESPACE_LABEL,
                f"Prometheus has a deployment “{deployment}”, but no label of it says {namespace}.",
                "Keep the namespace of the pod as a label when scraping: manifests/monitoring/podmonitor.yaml does.",
            )
        return
    if found.others:
        yield Symptom(
            Fault.NO_REQUESTS,
            f"Prometheus watches {found.others} targets, but none that counts requests of “{deployment}”.",
            f"Scrape port {EXECUTOR_PORT} of Seldon's pods at /prometheus: manifests/monitoring/podmonitor.yaml does. "
            "A model that has just been started is seen after the next scrape.",
        )
    else:
        yield Symptom(
            Fault.NOTHING_WATCHED,
            "Prometheus watches no target at all.",
            "Check its configuration, or that DECANT_PROMETHEUS_MATCHERS fits what it holds.",
        )


def _down(found: Found) -> Iterable[Symptom]:
    for labels in found.down:
        where = labels.get("instance", "somewhere")
        who = labels.get("predictor_name") or labels.get("pod", "")
        port = where.rpartition(":")[2]
        aside = ""
        if port.isdigit() and "pod" in labels and int(port) not in (EXECUTOR_PORT, WRAPPER_PORT):
            aside = f" Seldon shows its counters at ports {EXECUTOR_PORT} and {WRAPPER_PORT}, not at {port}."
        yield Symptom(
            Fault.TARGET_DOWN,
            f"Prometheus cannot scrape {where}{f' ({who})' if who else ''}.{aside}",
            "Prometheus' page Status > Targets says why: a wrong port or path, a network policy, or the pod is not up.",
        )


def _absent(seen: Sequence[Labels], predictors: Sequence[str], down: Sequence[Labels]) -> Iterable[Symptom]:
    there = {labels.get("predictor_name") for labels in seen} | {labels.get("predictor_name") for labels in down}
    for name in predictors:
        if name not in there:
            yield Symptom(
                Fault.NO_REQUESTS,
                f"No target of predictor {name} counts requests.",
                f"Is it up? Then let port {EXECUTOR_PORT} of its pods be scraped as those of the others are.",
            )


def _no_rewards(found: Found) -> Iterable[Symptom]:
    if sum(found.fed.values()) and not found.counted:
        n = round(sum(found.fed.values()))
        yield Symptom(
            Fault.NO_REWARDS,
            f"{n:,} feedbacks arrived, but no counter of rewards is scraped.",
            f"Scrape port {WRAPPER_PORT} of Seldon's pods beside port {EXECUTOR_PORT}: both container ports are named "
            "`metrics`.",
        )


def _forgotten(kept: Kept | None) -> Iterable[Symptom]:
    if kept is not None and not kept.whole:
        yield Symptom(
            Fault.FORGOTTEN,
            f"{lost(kept)} What it had counted by then is missing.",
            f"{to_raise(kept)} and begin a new test, or one that reads live traffic from the ledger.",
        )


def _untold(kept: Kept | None) -> Iterable[Symptom]:
    if kept is not None and kept.untold:
        yield Symptom(Fault.NO_UP, UNTOLD, LET_UP_THROUGH)


def _forgets_soon(kept: Kept | None) -> Iterable[Symptom]:
    if kept is not None and kept.soon is not None:
        yield Symptom(Fault.FORGETS_SOON, going(kept), f"{to_raise(kept)} before then, or decide by then.")


def _nameless(seen: Sequence[Labels]) -> Iterable[Symptom]:
    nameless = [labels for labels in seen if not labels.get("predictor_name")]
    if nameless:
        yield Symptom(
            Fault.LABELS_ABSENT,
            f"{len(nameless)} of {len(seen)} counters do not say which predictor they are of.",
            "A relabelling rule drops or renames `predictor_name`; Decant tells arms apart by it.",
            wrong=True,
        )


def _twice(seen: Sequence[Labels]) -> Iterable[Symptom]:
    jobs: dict[tuple[tuple[str, str], ...], set[str]] = defaultdict(set)
    for labels in seen:
        what = tuple(sorted((k, v) for k, v in labels.items() if k not in SCRAPE_LABELS and not k.startswith("__")))
        jobs[what].add(labels.get("job", ""))
    twice = sorted({" and ".join(sorted(names)) for names in jobs.values() if len(names) > 1})
    if twice:
        yield Symptom(
            Fault.SCRAPED_TWICE,
            f"The same pods are scraped by more than one job: {'; '.join(twice)}. Everything counts twice.",
            'Remove one of them, or tell one apart with DECANT_PROMETHEUS_MATCHERS, such as job="…".',
            wrong=True,
        )


def _slow(requests: Sequence[tuple[Labels, Sequence[float]]], scrape_s: int) -> Iterable[Symptom]:
    gaps = [median(after - before for before, after in pairwise(times)) for _, times in requests if len(times) >= 3]
    if gaps and (real_s := round(min(gaps))) > LATE * scrape_s:
        window_s = MIN_SCRAPES * scrape_s
        short = "less than two scrapes" if window_s < 2 * real_s else f"{window_s / real_s:.1f} scrapes"
        yield Symptom(
            Fault.SLOW_SCRAPES,
            f"Pods are scraped every {real_s} s, not every {scrape_s} s: a window of {window_s} s holds {short}, so "
            "charts have gaps and flicker.",
            f"Set DECANT_SCRAPE_INTERVAL_S={real_s}."
            if real_s <= MAX_SCRAPE_S
            else f"Have them scraped at least every {MAX_SCRAPE_S} s, and set DECANT_SCRAPE_INTERVAL_S to that.",
        )


def _dropped_zeros(found: Found) -> Iterable[Symptom]:
    fed, counted = sum(found.fed.values()), sum(found.counted.values())
    lost = fed - counted
    if found.counted and lost > max(LOST_LEAST, LOST_SHARE * fed):
        yield Symptom(
            Fault.ZERO_REWARDS,
            f"Of {round(fed):,} feedbacks only {round(counted):,} are in the counters: Seldon's wrapper leaves out "
            "rewards of 0, so the mean of the rest is too high, and of a 0/1 reward always 1.",
            "Decide on paired replays or on the ledger, which keep every reward; or use a reward that is never 0, such "
            "as the bounded one.",
            wrong=True,
        )


def _negative(found: Found) -> Iterable[Symptom]:
    falls = {name: n for name, n in found.reward_resets.items() if n > 0}
    if falls:
        yield Symptom(
            Fault.NEGATIVE_REWARDS,
            f"The sum of rewards of {' and '.join(sorted(falls))} has fallen without a restart: negative rewards, "
            "which Prometheus reads as a counter that began anew.",
            "Send rewards that are never negative as feedback; Decant keeps negative ones in the ledger.",
            wrong=True,
        )


def _coarse(found: Found) -> Iterable[Symptom]:
    for name, counts in sorted(found.buckets.items()):
        edges = sorted(counts)
        total = counts[edges[-1]] if edges else 0
        if total and edges[0] > FINE_S and counts[edges[0]] > HIDDEN_SHARE * total:
            yield Symptom(
                Fault.COARSE_BUCKETS,
                f"{counts[edges[0]] / total:.0%} of the predictions of {name} are faster than the lowest bucket, "
                f"{edges[0] * 1000:g} ms: quantiles below that are drawn, not measured.",
                "The latency in the ledger, measured at the sender, is exact.",
            )
