"""The PromQL of what the split sent to each arm and how that was answered, by whoever divides the traffic.

Decant's own gateway and Istio's ingress count the requests that they divided, and nothing else. Where neither is
scraped there is no count of them, and the arms' own servers stand in as far as they can.
"""

from __future__ import annotations

from services.metrics.queries import (
    GATEWAY_CLUSTER,
    GATEWAY_REQUESTS,
    GATEWAY_TIMES,
    ISTIO_REQUESTS,
    ISTIO_TIMES,
    PREDICTIONS,
    REQUESTS,
    Router,
    Selection,
    answer_counter,
    quote,
    quote_regex,
    request_counter,
)


def router_counter(selection: Selection) -> str:
    """The raw counters of requests sent to each arm through the split, the arm named in GATEWAY_CLUSTER.

    Istio's name the Service that a request went to, `<deployment>-<predictor>`, and say who sent it there: only what
    its ingress gateway sent was divided by the split.
    """
    if selection.labels.router is Router.NONE:
        return "vector(0) < 0"
    if selection.labels.router is Router.DECANT:
        return f"{GATEWAY_REQUESTS}{selection.split_clusters()}"
    return _through_ingress(selection, ISTIO_REQUESTS)


def _through_ingress(selection: Selection, metric: str, *more: str, window_s: int = 0) -> str:
    """A metric of what Istio's ingress gateway sent to each arm, the arm named in GATEWAY_CLUSTER; with a window, what
    it grew by in it."""
    namespace, deployment = selection.namespace or "", selection.deployment or ""
    service = f"{quote_regex(deployment)}-(.+)"
    where = selection.labels.braces(
        'reporter="source"',
        'source_workload=~".*ingressgateway.*"',
        f"destination_service_namespace={quote(namespace)}",
        f"destination_service_name=~{quote(service)}",
        *more,
    )
    arm, name = quote(f"split|{namespace}|{deployment}|$1"), "destination_service_name"
    value = f"increase({metric}{where}[{window_s}s])" if window_s else f"{metric}{where}"
    return f'label_replace({value}, "{GATEWAY_CLUSTER}", {arm}, "{name}", {quote(service)})'


def split_answers(selection: Selection) -> str:
    """The raw counters of answers by arm and status: through the split where somebody counts there, else all."""
    if selection.labels.router is Router.DECANT:
        return answer_counter(selection)
    return router_counter(selection) if selection.labels.router is Router.ISTIO else request_counter(selection)


def split_times(selection: Selection, *more: str) -> str:
    """The raw buckets of how long those requests took, in the unit of `split_time_unit_ms`."""
    if selection.labels.router is Router.DECANT:
        return f"{GATEWAY_TIMES}{selection.split_clusters(*more)}"
    if selection.labels.router is Router.ISTIO:
        return _through_ingress(selection, ISTIO_TIMES, *more)
    return f"{REQUESTS}_bucket{selection.selector(PREDICTIONS, *more)}"


def split_time_unit_ms(selection: Selection) -> float:
    """How many ms an edge of 1 stands for: proxies count in milliseconds, Seldon in seconds."""
    return 1000.0 if selection.labels.router is Router.NONE else 1.0


def split_edges(selection: Selection) -> str:
    """The edges of those buckets, one row each."""
    return f"group by (le) ({split_times(selection)})"


def split_quantile_ms(selection: Selection, window_s: int, quantile: float) -> str:
    """One quantile of those times over a window, by arm, in ms."""
    arm = "predictor_name" if selection.labels.router is Router.NONE else GATEWAY_CLUSTER
    if selection.labels.router is Router.ISTIO:
        buckets = _through_ingress(selection, ISTIO_TIMES, window_s=window_s)
    else:
        buckets = f"increase({split_times(selection)}[{window_s}s])"
    scale = split_time_unit_ms(selection)
    return f"{scale:g} * histogram_quantile({quantile:g}, sum by (le, {arm}) ({buckets}))"
