"""Recording and alert rules over Seldon's metrics, as Prometheus and its operator read them. Pure.

The alerts are about what makes an A/B test wrong or an arm unfit, each with what to do. Nothing here judges which arm
is better: a threshold on two means, looked at every minute, names a winner by chance.
"""

from __future__ import annotations

from typing import Any

from services.metrics import queries
from services.metrics.queries import FEEDBACK, PREDICTIONS, REQUESTS, REWARD, Labels, Selection

GROUP = "decant"
WINDOW = "5m"
"""Ten scrapes of Prometheus' usual 30 s; at least four are needed (see queries.MIN_SCRAPES)."""

RATE = "decant:predictions:rate5m"
ERRORS = "decant:predictions_failed:ratio5m"
P95 = "decant:latency_seconds:p95_5m"
FED = "decant:feedback:rate5m"
MEAN = "decant:reward:mean5m"

BUSY_PER_S = 0.1
"""Below this, ratios are of a handful of requests and alerts would be noise."""

JOB = "seldon"
SCRAPED = f'job="{JOB}"'
"""The job that manifests/monitoring/podmonitor.yaml gives its targets, and its matcher."""


def rule_groups(labels: Labels) -> dict[str, Any]:
    """The file that `rule_files` of a Prometheus names; also the `spec` of a PrometheusRule."""
    return {"groups": [{"name": GROUP, "interval": "30s", "rules": [*_records(labels), *_alerts(labels)]}]}


def _records(labels: Labels) -> list[dict[str, Any]]:
    every = Selection(None, None, labels)
    arm, predictions = labels.arm, every.selector(PREDICTIONS)
    failed = every.selector(PREDICTIONS, 'code=~"5.."')
    return [
        _record(RATE, f"sum by ({arm}) (rate({REQUESTS}_count{predictions}[{WINDOW}]))"),
        _record(ERRORS, f"sum by ({arm}) (rate({REQUESTS}_count{failed}[{WINDOW}])) / ({RATE} > 0)"),
        _record(
            P95,
            f"histogram_quantile(0.95, sum by (le, {arm}) (rate({REQUESTS}_bucket{predictions}[{WINDOW}])))",
        ),
        _record(FED, f"sum by ({arm}) (rate({queries.feedback_counter(every)}[{WINDOW}]))"),
        _record(MEAN, f"sum by ({arm}) (rate({queries.reward_counter(every)}[{WINDOW}])) / ({FED} > 0)"),
    ]


def _alerts(labels: Labels) -> list[dict[str, Any]]:
    every = Selection(None, None, labels)
    arm, deployment = labels.arm, f"{labels.namespace}, deployment_name"
    whose = f"{{{{ $labels.{labels.namespace} }}}}/{{{{ $labels.deployment_name }}}}"
    who = f"{whose} {{{{ $labels.predictor_name }}}}"
    busy = f"{RATE} > {BUSY_PER_S}"
    fed_per_request = f"({FED} / ({busy}))"
    slow = f"({P95} and ({busy}))"
    where = every.selector()
    answered = f"increase({queries.fed_counter(every)}[1h])"
    counted = f"increase({queries.feedback_counter(every)}[1h])"
    lost = f"sum by ({deployment}) ({answered}) - sum by ({deployment}) ({counted})"
    series = f"{REQUESTS}_count{every.selector(PREDICTIONS)}"
    return [
        _alert(
            "DecantArmFails",
            f"{ERRORS} > 0.05 and {busy}",
            "5m",
            "critical",
            f"{who} fails {{{{ $value | humanizePercentage }}}} of its predictions",
            "Take its traffic away (the slider on the Deploy page, or `python -m app traffic`), then look at its log.",
        ),
        _alert(
            "DecantArmSlowerThanTheOther",
            f"{slow} > on ({deployment}) group_left () (2 * min by ({deployment}) {slow})",
            "10m",
            "warning",
            f"{who} takes over twice as long as the fastest arm (95th percentile {{{{ $value | humanizeDuration }}}})",
            "More replicas for it, or less traffic.",
        ),
        _alert(
            "DecantFeedbackUneven",
            f"max by ({deployment}) {fed_per_request} > 1.5 * min by ({deployment}) {fed_per_request}",
            "1h",
            "warning",
            f"The arms of {whose} get feedback for very different shares of their predictions",
            "Rewards that are missing from one arm make the other look better or worse: find out which requests never "
            "come back with a truth before trusting the test.",
        ),
        _alert(
            "DecantZeroRewardsDropped",
            f"({lost} > 5) and ({lost} > 0.02 * sum by ({deployment}) ({answered}))",
            "15m",
            "warning",
            f"{{{{ $value | humanize }}}} feedbacks of {whose} in an hour are not in its counters",
            "Seldon's wrapper leaves out rewards of 0, so means are too high. Decide on paired replays or the ledger.",
        ),
        _alert(
            "DecantNegativeReward",
            f"sum by ({arm}) (resets({REWARD}{where}[1h]) - resets({FEEDBACK}{where}[1h])) > 0",
            "0m",
            "warning",
            f"The sum of rewards of {who} has fallen without a restart",
            "Prometheus reads that as a counter that began anew: the mean is wrong. Never send negative rewards.",
        ),
        _alert(
            "DecantScrapedTwice",
            f"count by ({arm}, instance) (count by ({arm}, instance, job) ({series})) > 1",
            "5m",
            "warning",
            f"{{{{ $labels.instance }}}} of {who} is scraped by more than one job",
            "Everything counts twice: remove one of the jobs.",
        ),
        _alert(
            "DecantTargetDown",
            f"up{labels.braces(SCRAPED)} == 0",
            "5m",
            "warning",
            "{{ $labels.pod }} at {{ $labels.instance }} cannot be scraped",
            "Status > Targets in Prometheus says why: a network policy, a wrong port, or the pod is not up.",
        ),
    ]


def _record(name: str, expression: str) -> dict[str, Any]:
    return {"record": name, "expr": expression}


def _alert(name: str, expression: str, lasts: str, severity: str, summary: str, mend: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {"summary": f"{summary}.", "description": mend},
    }
