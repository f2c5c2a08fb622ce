"""What Envoy says about itself: the split in force, the endpoints it knows, which of them are healthy.

The only door to Envoy's admin interface, a unix socket that nobody but this user can open.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.domain import Split
from services.errors import Unavailable
from services.runtime import sockets
from services.runtime.envoy.model import Upstream, parse_split_route, predictor_of

PART = "The gateway"
_HINT = "It restarts by itself; see log/envoy.log in the state folder if it does not."


class EnvoyAdmin:
    """Reads the gateway's own view. Every method but `ready` raises Unavailable when the gateway does not answer."""

    def __init__(self, socket_path: Path, timeout_s: float = 1.0) -> None:
        self._path = sockets.socket_path(socket_path)
        self._timeout_s = timeout_s

    def ready(self) -> bool:
        """Whether the gateway runs and has loaded its first configuration. Never raises."""
        try:
            status, body = self._get("/ready")
        except Unavailable:
            return False
        return status == 200 and body.strip() == b"LIVE"

    def splits(self) -> dict[str, Split]:
        """The weights in force, by deployment as `namespace/name`."""
        found: dict[str, Split] = {}
        for host in self._route_config().get("virtual_hosts", []):
            for route in host.get("routes", []):
                key = parse_split_route(route.get("name", ""))
                if key is not None:
                    weights = route["route"]["weighted_clusters"]["clusters"]
                    found[key] = Split.of((predictor_of(c["name"]), c.get("weight", 0)) for c in weights)
        return found

    def split_in_force(self, namespace: str, name: str) -> Split | None:
        """The weights by which the gateway hands out predictions now; None if it does not serve the deployment."""
        return self.splits().get(f"{namespace}/{name}")

    def routes_version(self) -> str:
        """The version of the routes in force, as `EnvoyFiles.routes_version` names it; empty before the first."""
        configs = self._routes("version_info")
        return str(configs[0].get("version_info", "")) if configs else ""

    def clusters(self) -> set[str]:
        """Names of the clusters that requests can be sent to; one that still warms up is not among them."""
        return set(self.upstreams())

    def upstreams(self) -> dict[str, dict[Upstream, bool]]:
        """Per cluster, every endpoint and whether it takes requests (health check passed, not ejected)."""
        statuses = self._json("/clusters?format=json").get("cluster_statuses", [])
        return {c["name"]: _hosts(c) for c in statuses if c.get("added_via_api")}

    def known_upstreams(self, cluster: str) -> set[Upstream]:
        return set(self.upstreams().get(cluster, {}))

    def healthy_upstreams(self, cluster: str) -> set[Upstream]:
        return {upstream for upstream, healthy in self.upstreams().get(cluster, {}).items() if healthy}

    def in_flight(self) -> dict[Upstream, int]:
        """Requests under way per endpoint, over all clusters: zero (or absent) means drained."""
        busy: dict[Upstream, int] = {}
        for cluster in self._json("/clusters?format=json").get("cluster_statuses", []):
            for host in cluster.get("host_statuses", []):
                upstream = _upstream(host)
                stats = {s["name"]: int(s.get("value", 0)) for s in host.get("stats", []) if "name" in s}
                if upstream is not None:
                    busy[upstream] = busy.get(upstream, 0) + stats.get("rq_active", 0)
        return busy

    def version(self) -> str:
        """Envoy's version, such as 1.40.0."""
        text = str(self._json("/server_info").get("version", ""))
        parts = text.split("/")
        return parts[1] if len(parts) > 1 else text

    def _route_config(self) -> dict[str, Any]:
        configs = self._routes("route_config.virtual_hosts")
        return dict(configs[0].get("route_config", {})) if configs else {}

    def _routes(self, mask: str) -> list[dict[str, Any]]:
        answer = self._json(f"/config_dump?resource=dynamic_route_configs&mask={quote(mask)}")
        return list(answer.get("configs", []))

    def _json(self, path: str) -> dict[str, Any]:
        status, body = self._get(path)
        if status != 200:
            raise Unavailable(PART, f"its admin interface answered {status}", _HINT)
        try:
            return dict(json.loads(body))
        except ValueError as error:
            raise Unavailable(PART, "its admin interface did not answer in JSON", _HINT) from error

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(PART, str(error) or type(error).__name__, _HINT) from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _hosts(cluster: dict[str, Any]) -> dict[Upstream, bool]:
    found = {}
    for host in cluster.get("host_statuses", []):
        upstream = _upstream(host)
        if upstream is not None:
            found[upstream] = _is_healthy(host.get("health_status", {}))
    return found


def _upstream(host: dict[str, Any]) -> Upstream | None:
    address = host.get("address", {}).get("socket_address")
    return Upstream(address["address"], int(address["port_value"])) if address else None


def _is_healthy(health: dict[str, Any]) -> bool:
    """Envoy lists only the reasons against a host; EDS's own word is always there and HEALTHY here."""
    return not any(value is True for value in health.values())
