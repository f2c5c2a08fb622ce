"""Envoy's clusters: the processes behind each arm, how their health is watched, how much they are given at once.

The endpoints stand inside the clusters (STATIC) instead of in files of their own (EDS): Envoy wants one file and one
inotify instance per EDS cluster, and aborts when the user's 128 instances are used up, which about 30 deployments
would do. When a cluster's endpoints change, Envoy checks the new ones first and keeps the old cluster until then;
requests in flight finish on the old one, and counters go on from where they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.envoy.model import GatewayDeployment, GatewayPredictor, Route, Upstream, cluster_name, in_order
from services.settings import Settings

CONNECT_TIMEOUT = "1s"  # loopback: a second without an accept means a full backlog or a stopped process
# Below the five seconds after which common Python servers close an idle connection: Envoy must be the one that
# closes, or a request could be sent into a connection that is being closed, and such a request may not be repeated.
UPSTREAM_IDLE = "4s"

_HEALTH_CHECK = {
    # Patient: on two cores the start of one model server can keep another from answering for a second.
    "timeout": "2s",
    "interval": "1s",
    # A cluster that has had no request yet: find a starting server fast, then look as often as at any other.
    "no_traffic_interval": "0.25s",
    "no_traffic_healthy_interval": "1s",
    "unhealthy_interval": "0.25s",
    "unhealthy_threshold": 2,  # counts silence and refusals; an answer other than 200 takes the server out at once
    "healthy_threshold": 1,
    "reuse_connection": True,
    "http_health_check": {"path": "/ready"},
}

# The replica with the fewest requests in flight, drawn by lot among equals: as even as taking turns (within 2 % over
# 15,000 requests), and a replica that hangs or works on a large batch does not collect everybody else's requests.
_LEAST_BUSY = {
    "policies": [
        {
            "typed_extension_config": {
                "name": "envoy.load_balancing_policies.least_request",
                "typed_config": {
                    "@type": "type.googleapis.com/"
                    "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
                    "selection_method": "FULL_SCAN",
                },
            }
        }
    ]
}

_OUTLIER_DETECTION = {
    # Only what Envoy sees itself (refused or broken connections) counts: a model's own 500 is an answer, and taking
    # an arm out for it would bend the split.
    "split_external_local_origin_errors": True,
    # One is enough: a dead replica has the fewest requests in flight, so it would be chosen again and again.
    "consecutive_local_origin_failure": 1,
    "enforcing_consecutive_local_origin_failure": 100,
    "enforcing_local_origin_success_rate": 0,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    # The last half of the replicas always stays: with a lone replica, being out would only be a second way to fail.
    "max_ejection_percent": 50,
    "interval": "0.5s",
    "base_ejection_time": "1s",
    "max_ejection_time": "5s",
    "max_ejection_time_jitter": "0s",
}


def clusters(deployments: Sequence[GatewayDeployment], settings: Settings) -> list[dict[str, Any]]:
    """Two clusters per predictor, live or shadow, with the same endpoints; see `model.cluster_name`."""
    return [
        _cluster(route, deployment, predictor, settings)
        for deployment in in_order(deployments)
        for predictor in deployment.predictors
        for route in _routes_to(predictor)
    ]


def _routes_to(predictor: GatewayPredictor) -> tuple[Route, ...]:
    return ("pin",) if predictor.shadow else ("split", "pin")


def _cluster(
    route: Route, deployment: GatewayDeployment, predictor: GatewayPredictor, settings: Settings
) -> dict[str, Any]:
    name = cluster_name(route, deployment.namespace, deployment.name, predictor.name)
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "load_balancing_policy": _LEAST_BUSY,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(u.host, u.port) for u in sorted(predictor.upstreams)]}],
        },
        "common_lb_config": {
            "healthy_panic_threshold": {"value": 0},
            # Without this a second replica that turns healthy within a second of the first, or one that turns sick,
            # is heard of by Envoy's admin interface at once and by its workers a second later.
            "update_merge_window": "0s",
        },
        "ignore_health_on_host_removal": True,
        "health_checks": [_HEALTH_CHECK],
        "outlier_detection": _OUTLIER_DETECTION,
        "circuit_breakers": {"thresholds": [_limits(settings)]},
        "per_connection_buffer_limit_bytes": 1 << 20,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _endpoint(host: str, port: int) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def upstreams_of(cluster: Mapping[str, Any]) -> set[Upstream]:
    """The endpoints in a cluster made by `clusters`."""
    addresses = [
        endpoint["endpoint"]["address"]["socket_address"]
        for group in cluster["load_assignment"]["endpoints"]
        for endpoint in group["lb_endpoints"]
    ]
    return {Upstream(a["address"], a["port_value"]) for a in addresses}


def _limits(settings: Settings) -> dict[str, Any]:
    most = settings.max_connections
    return {"max_connections": most, "max_pending_requests": most, "max_requests": most, "max_retries": most}
