"""The PromQL of Decant as pure functions from names and windows to text.

Every query names namespace and deployment, keys by `predictor_name` (`predictor_version` differs between Seldon's two
families of metrics), and looks at `service="predictions"` where it counts predictions. The names of metrics and labels
are Seldon Core's own, so the same text works against the local engine and a cluster.

Two counters see the same predictions. A model server counts what it answered, whichever way the request came. The
gateway counts what clients of the split got, with the errors that it made itself because an arm was down, full or
silent; those reach no model server. So predictions are counted per arm and class of status by whichever counter saw
more of them: nothing is counted twice, nothing that a client got is left out, and where no such gateway is scraped
(on a cluster) the model servers' own counts stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

REQUESTS = "seldon_api_executor_server_requests_seconds"
FEEDBACK = "seldon_api_model_feedback_total"
REWARD = "seldon_api_model_feedback_reward_total"
FORWARDED = "decant_feedback_forwarded_total"
GATEWAY_REQUESTS = "envoy_cluster_upstream_rq_total"
GATEWAY_ANSWERS = "envoy_cluster_upstream_rq_xx"
GATEWAY_CLUSTER = "envoy_cluster_name"
GATEWAY_CLASS = "envoy_response_code_class"
GATEWAY_TIMES = "envoy_cluster_upstream_rq_time_bucket"
ISTIO_REQUESTS = "istio_requests_total"
ISTIO_TIMES = "istio_request_duration_milliseconds_bucket"

MIN_SCRAPES = 4
"""A rate over fewer scrapes flickers between nothing and double whenever one comes late."""

RARE_SCRAPES = 15
"""Errors are rare: looking back over only four scrapes would draw a comb."""

MAX_POINTS = 300
STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def quote(value: str) -> str:
    """A label value as a PromQL string: whatever it holds, it stays one value."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def quote_regex(value: str) -> str:
    """A value to be matched literally inside an RE2 expression, not yet quoted."""
    return "".join(f"\\{char}" if char in r"\.+*?()|[]{}^$" else char for char in value)


Window = int | str
"""How far a point looks back: whole seconds, or text that something else fills in (Grafana's `$__rate_interval`)."""


def span(window: Window) -> str:
    return f"{window}s" if isinstance(window, int) else window


class Router(StrEnum):
    """Whose counters say how many requests the split gave to each arm."""

    DECANT = "decant"  # the local engine's Envoy
    ISTIO = "istio"  # the ingress gateway's proxy
    NONE = "none"  # nobody's: executors count pinned requests too, so they cannot stand in


@dataclass(frozen=True, slots=True)
class Labels:
    """What is particular about one Prometheus.

    Attributes:
        namespace: the label that holds a target's namespace.
        matchers: what every query must match besides, such as `cluster="eu1"`, where several clusters share it.
        router: whose counters say what the split sent where.
    """

    namespace: str = "namespace"
    matchers: str = ""
    router: Router = Router.DECANT

    @property
    def arm(self) -> str:
        """The labels that tell arms apart."""
        return f"{self.namespace}, deployment_name, predictor_name"

    def braces(self, *parts: str) -> str:
        """`{parts}` with the matchers that every query needs; nothing where there are none."""
        inside = ",".join(part for part in (*parts, self.matchers) if part)
        return f"{{{inside}}}" if inside else ""


PLAIN = Labels()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deployment a query looks at; None means any."""

    namespace: str | None
    deployment: str | None
    labels: Labels = PLAIN

    def selector(self, *more: str) -> str:
        """`{namespace="…",deployment_name="…",more}`."""
        parts = []
        if self.namespace is not None:
            parts.append(f"{self.labels.namespace}={quote(self.namespace)}")
        if self.deployment is not None:
            parts.append(f"deployment_name={quote(self.deployment)}")
        return self.labels.braces(*parts, *more)

    def split_clusters(self, *more: str) -> str:
        """The selector of the gateway's ways to each arm through the split.

        Pinned requests, feedback and mirrored copies go through other clusters.
        """
        any_name = "[^|]+"
        namespace, deployment = (any_name if n is None else quote_regex(n) for n in (self.namespace, self.deployment))
        expression = rf"split\|{namespace}\|{deployment}\|.+"
        return self.labels.braces(f"{GATEWAY_CLUSTER}=~{quote(expression)}", *more)


PREDICTIONS = 'service="predictions"'
FED, OK = 'service="feedback"', 'code="200"'


def choose_step_s(span_s: float, scrape_interval_s: int) -> int:
    """Seconds between two points so that a chart of `span_s` has about 150 to 300 of them."""
    wanted = max(span_s / MAX_POINTS, scrape_interval_s)
    return next((step for step in STEPS_S if step >= wanted), math.ceil(wanted))


def choose_window_s(step_s: int, scrape_interval_s: int, scrapes: int = MIN_SCRAPES) -> int:
    """How far each point looks back: at least `scrapes`, and one scrape more than a step so that none is lost."""
    return max(scrapes * scrape_interval_s, step_s + scrape_interval_s)


def rps(selection: Selection, window: Window) -> str:
    """Predictions per second, by predictor."""
    return f"sum by (predictor_name) (rate({REQUESTS}_count{selection.selector(PREDICTIONS)}[{span(window)}]))"


def reward(selection: Selection, window: Window) -> str:
    """Mean reward of the feedback that arrived in the window, by predictor; nothing where none arrived."""
    where = selection.selector()
    return (
        f"sum by (predictor_name) (rate({REWARD}{where}[{span(window)}]))\n"
        f"  / (sum by (predictor_name) (rate({FEEDBACK}{where}[{span(window)}])) > 0)"
    )


def latency_ms(selection: Selection, window: Window, quantile: float) -> str:
    """One quantile of the latency of predictions in milliseconds, by predictor."""
    buckets = f"rate({REQUESTS}_bucket{selection.selector(PREDICTIONS)}[{span(window)}])"
    return f"1000 * histogram_quantile({quantile:g}, sum by (le, predictor_name) ({buckets}))"


def latencies_ms(selection: Selection, window: Window, quantiles: Sequence[float]) -> str:
    """Several quantiles in one query, told apart by the label `quantile`."""
    return "\nor\n".join(
        f'label_replace({latency_ms(selection, window, q)}, "quantile", "{q:g}", "", "")' for q in quantiles
    )


def errors(selection: Selection, window_s: int) -> str:
    """Failed predictions per second by predictor and `class` (4xx, 5xx); 0 where there was traffic but no error."""
    counted = [
        _marked(served(selection, window_s, "45"), "model server"),
        _marked(_passed(selection, window_s, "45"), "gateway"),
    ]
    return _with_calm(selection, window_s, counted)


def served_errors(selection: Selection, window: Window) -> str:
    """`errors` as the model servers alone counted them."""
    return _with_calm(selection, window, [served(selection, window, "45")])


def _with_calm(selection: Selection, window: Window, counted: Sequence[str]) -> str:
    calm = f"0 * {rps(selection, window)}"
    parts = [*counted, *(f'label_replace({calm}, "class", "{digit}xx", "", "")' for digit in "45")]
    return "max by (predictor_name, class) (\n" + "\nor\n".join(parts) + "\n)"


def rate_by_deployment(selection: Selection, window_s: int) -> str:
    """Predictions per second by namespace and deployment, those that only the gateway answered included."""
    seen = _marked(served(selection, window_s), "model server"), _marked(_passed(selection, window_s), "gateway")
    most = f"max by ({selection.labels.arm}, class) (\n{seen[0]}\nor\n{seen[1]}\n)"
    return f"sum by ({selection.labels.namespace}, deployment_name) ({most})"


def served(selection: Selection, window: Window, digits: str = "") -> str:
    """What model servers answered per second by arm and class."""
    codes = (f'code=~"[{digits}].."',) if digits else ()
    rate = f"rate({REQUESTS}_count{selection.selector(PREDICTIONS, *codes)}[{span(window)}])"
    return f'sum by ({selection.labels.arm}, class) (label_replace({rate}, "class", "${{1}}xx", "code", "(.).."))'


def _passed(selection: Selection, window_s: int, digits: str = "") -> str:
    """What clients of the split got from the gateway per second by arm and class.

    Envoy makes a counter when it first counts, where `rate` sees nothing. One that was not there a window ago, though
    the cluster's counter of requests was, is new, and all of it happened since.
    """
    classes = (f'{GATEWAY_CLASS}=~"[{digits}]"',) if digits else ()
    counter, ago = f"{GATEWAY_ANSWERS}{selection.split_clusters(*classes)}", f"offset {window_s}s"
    known = f"on (instance, {GATEWAY_CLUSTER}) {GATEWAY_REQUESTS}{selection.split_clusters()} {ago}"
    rate = f"((({counter} unless {counter} {ago}) and {known}) / {window_s} or rate({counter}[{window_s}s]))"
    for group, label in enumerate((selection.labels.namespace, "deployment_name", "predictor_name"), start=1):
        expression = quote(r"split\|([^|]+)\|([^|]+)\|(.+)")
        rate = f'label_replace({rate}, "{label}", "${group}", "{GATEWAY_CLUSTER}", {expression})'
    arm = selection.labels.arm
    return f'sum by ({arm}, class) (label_replace({rate}, "class", "${{1}}xx", "{GATEWAY_CLASS}", "(.)"))'


def _marked(query: str, counted_by: str) -> str:
    return f'label_replace({query}, "counted_by", "{counted_by}", "", "")'


def answer_counter(selection: Selection) -> str:
    """The gateway's raw counters of what clients of the split got: one series per arm and class."""
    return f"{GATEWAY_ANSWERS}{selection.split_clusters()}"


def request_counter(selection: Selection) -> str:
    """The raw counters of predictions: one series per replica, method and code."""
    return f"{REQUESTS}_count{selection.selector(PREDICTIONS)}"


def fed_counter(selection: Selection) -> str:
    """The executors' raw counters of feedback requests that were answered well."""
    return f"{REQUESTS}_count{selection.selector(FED, OK)}"


def feedback_counter(selection: Selection) -> str:
    return f"{FEEDBACK}{selection.selector()}"


def reward_counter(selection: Selection) -> str:
    return f"{REWARD}{selection.selector()}"


def latency_over(selection: Selection, window: Window, quantile: float) -> str:
    """One quantile over a whole window, for an instant query."""
    return latency_ms(selection, window, quantile)


def last_sample(selection: Selection, within_s: int) -> str:
    """Unix time of the newest sample within the last `within_s` seconds."""
    step_s = max(60, within_s // 1440)
    newest = f"timestamp({REQUESTS}_count{selection.selector()})"
    return f"max({newest}) or max(max_over_time({newest}[{within_s}s:{step_s}s]))"


def alive(instances: Sequence[str], labels: Labels = PLAIN) -> str:
    """Whether each of these targets could be scraped, and, without labels, how many targets were watched at all."""
    expression = quote("|".join(quote_regex(name) for name in sorted(set(instances))))
    return f"up{labels.braces(f'instance=~{expression}')} or {watched(labels)}"


def watched(labels: Labels = PLAIN) -> str:
    """How many targets are watched; nothing where there is none."""
    return f"count(up{labels.braces()})"
