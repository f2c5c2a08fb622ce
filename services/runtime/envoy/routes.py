"""Envoy's routes: which arm answers a request. Moving a split changes this file and nothing else.

The order within a deployment matters: a pinned request first, then one pinned to an arm that does not exist, then
feedback, then predictions (every other POST), then reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.runtime.envoy.model import (
    PREDICTOR_HEADER,
    GatewayDeployment,
    Route,
    cluster_name,
    in_order,
    seconds,
    split_route_name,
)
from services.settings import Settings

ROUTES_NAME = "decant"
FEEDBACK_PATHS = ("api/v0.1/feedback", "api/v1.0/feedback")
_LISTED_DEPLOYMENTS = 100

# Only where no byte of the request reached a model: a prediction is never made twice for one answer.
RETRY_POLICY = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 5,
    # Room for the news that a replica is out to reach the thread that tries again.
    "retry_back_off": {"base_interval": "0.01s", "max_interval": "0.08s"},
}


def routes(deployments: Sequence[GatewayDeployment], settings: Settings) -> dict[str, Any]:
    """The route configuration for all deployments, ending in a 404 that lists them."""
    ordered = in_order(deployments)
    found = [route for deployment in ordered for route in _deployment_routes(deployment, settings)]
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES_NAME,
        "max_direct_response_body_size_bytes": 1 << 20,
        "virtual_hosts": [
            {
                "name": "deployments",
                "domains": ["*"],
                "retry_policy": RETRY_POLICY,
                "routes": [*found, _not_found("unknown", {"prefix": "/"}, _listing(ordered))],
            }
        ],
    }


def _deployment_routes(deployment: GatewayDeployment, settings: Settings) -> list[dict[str, Any]]:
    under = {"prefix": deployment.prefix}
    names = [p.name for p in deployment.predictors]
    pinned = [_pinned(deployment, name, settings) for name in names]
    stranger = _not_found(
        f"stranger|{deployment.namespace}|{deployment.name}",
        {**under, "headers": [{"name": PREDICTOR_HEADER, "present_match": True}]},
        f"{deployment.key} has no predictor of the name given in the header {PREDICTOR_HEADER}. "
        f"Its predictors: {', '.join(names)}.",
    )
    feedback = [
        {
            "match": {"path": deployment.prefix + path, "headers": [_method("POST")]},
            "route": _weighted("pin", deployment, settings, rewrite=f"/{path}"),
        }
        for path in FEEDBACK_PATHS
    ]
    split: dict[str, Any] = {
        "name": split_route_name(deployment.namespace, deployment.name),
        "match": {**under, "headers": [_method("POST")]},
        "route": {**_weighted("split", deployment, settings), **_mirror(deployment)},
    }
    reads = {"match": under, "route": _weighted("pin", deployment, settings)}
    return [*pinned, stranger, *feedback, split, reads]


def _pinned(deployment: GatewayDeployment, predictor: str, settings: Settings) -> dict[str, Any]:
    return {
        "match": {
            "prefix": deployment.prefix,
            "headers": [{"name": PREDICTOR_HEADER, "string_match": {"exact": predictor}}],
        },
        "route": {
            "cluster": cluster_name("pin", deployment.namespace, deployment.name, predictor),
            "prefix_rewrite": "/",
            "timeout": seconds(settings.request_timeout_s),
        },
        "response_headers_to_add": [_named(predictor)],
    }


def _weighted(route: Route, deployment: GatewayDeployment, settings: Settings, *, rewrite: str = "/") -> dict[str, Any]:
    return {
        "weighted_clusters": {
            "clusters": [
                {
                    "name": cluster_name(route, deployment.namespace, deployment.name, name),
                    "weight": percent,
                    "response_headers_to_add": [_named(name)],
                }
                for name, percent in deployment.split.shares
            ]
        },
        "prefix_rewrite": rewrite,
        "timeout": seconds(settings.request_timeout_s),
    }


def _mirror(deployment: GatewayDeployment) -> dict[str, Any]:
    policies = [
        {
            "cluster": cluster_name("pin", deployment.namespace, deployment.name, shadow.name),
            "runtime_fraction": {"default_value": {"numerator": shadow.traffic, "denominator": "HUNDRED"}},
            "disable_shadow_host_suffix_append": True,
        }
        for shadow in deployment.shadows
        if shadow.traffic
    ]
    return {"request_mirror_policies": policies} if policies else {}


def _named(predictor: str) -> dict[str, Any]:
    return {
        "header": {"key": PREDICTOR_HEADER, "value": predictor},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",  # a model cannot pass itself off as another arm
    }


def _method(name: str) -> dict[str, Any]:
    return {"name": ":method", "string_match": {"exact": name}}


def _not_found(name: str, match: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "match": match, "direct_response": {"status": 404, "body": {"inline_string": text}}}


def _listing(deployments: Sequence[GatewayDeployment]) -> str:
    if not deployments:
        return "Nothing is deployed yet."
    paths = [d.prefix for d in deployments[:_LISTED_DEPLOYMENTS]]
    more = len(deployments) - len(paths)
    return f"No deployment answers here. Deployments: {', '.join(paths)}{f' and {more} more' if more else ''}."
