"""The files that Envoy reads. Each is replaced by an atomic rename, and only when its content changed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from services.errors import StartFailed
from services.files import read_text, write_if_changed
from services.runtime.envoy.bootstrap import BOOTSTRAP_FILE, CLUSTERS_FILE, ROUTES_FILE, binary, bootstrap
from services.runtime.envoy.clusters import clusters, upstreams_of
from services.runtime.envoy.model import GatewayDeployment, Upstream
from services.runtime.envoy.routes import routes
from services.settings import Settings

_VALIDATE_TIMEOUT_S = 30
_LONGEST_LINE = 500


class EnvoyFiles:
    """Writes what the gateway shall do.

    A cluster must be there before a route leads to it, and may go only when none does. So, to move from one set of
    deployments to another: `write_clusters(union of both)`, wait until `EnvoyAdmin.clusters()` has the new ones,
    `write_routes(new)`, wait until `EnvoyAdmin.routes_version()` is what `write_routes` returned, drain,
    `write_clusters(new)`. Where only shares change, `write_routes` is all.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = settings.paths.envoy
        self.folder.mkdir(parents=True, exist_ok=True)

    def prepare(self) -> None:
        """Write the bootstrap, and empty cluster and route files where there are none. Call before starting Envoy."""
        write_if_changed(self.folder / BOOTSTRAP_FILE, _text(bootstrap(self._settings)))
        if not (self.folder / CLUSTERS_FILE).exists():
            self.write_clusters(())
        if not (self.folder / ROUTES_FILE).exists():
            self.write_routes(())

    def write_clusters(self, deployments: Sequence[GatewayDeployment]) -> bool:
        """Say which processes stand behind each arm; True if the file changed."""
        return self._write(CLUSTERS_FILE, clusters(deployments, self._settings))

    def write_routes(self, deployments: Sequence[GatewayDeployment]) -> bool:
        """Say which requests go to which arm; True if the file changed."""
        return self._write(ROUTES_FILE, [routes(deployments, self._settings)])

    def written_upstreams(self) -> dict[str, set[Upstream]]:
        """Per cluster, the endpoints last written: what the gateway has, or will have when it starts."""
        try:
            resources = json.loads(read_text(self.folder / CLUSTERS_FILE) or "{}").get("resources", [])
        except ValueError:  # not our writing; the next write_clusters replaces it
            return {}
        return {resource["name"]: upstreams_of(resource) for resource in resources}

    @property
    def routes_version(self) -> str:
        """The version of the routes last written; compare with `EnvoyAdmin.routes_version()`. Empty if none."""
        try:
            return str(json.loads(read_text(self.folder / ROUTES_FILE) or "{}").get("version_info", ""))
        except ValueError:  # not our writing; the next write_routes replaces it
            return ""

    def _write(self, name: str, resources: list[dict[str, Any]]) -> bool:
        version = hashlib.sha256(_text(resources).encode()).hexdigest()[:16]
        return write_if_changed(self.folder / name, _text({"version_info": version, "resources": resources}))


def validate(settings: Settings, deployments: Sequence[GatewayDeployment]) -> None:
    """Let Envoy itself judge the whole configuration, without starting it. Raises StartFailed with its words."""
    whole = _in_one_piece(settings, deployments)
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(_text(whole))
        file.flush()
        argv = [binary(), "--mode", "validate", "--log-level", "warning", "--disable-hot-restart"]
        done = subprocess.run(
            [*argv, "--config-path", file.name],
            capture_output=True,
            text=True,
            timeout=_VALIDATE_TIMEOUT_S,
            check=False,
        )
    if done.returncode != 0:
        words = [line[:_LONGEST_LINE] for line in done.stderr.splitlines()[-5:]]  # Envoy repeats the whole file
        raise StartFailed("The gateway", "it refuses its configuration", words)


def _in_one_piece(settings: Settings, deployments: Sequence[GatewayDeployment]) -> dict[str, Any]:
    """Bootstrap, clusters and routes in one file: Envoy's validation does not follow the references to the others."""
    whole = bootstrap(settings)
    del whole["dynamic_resources"]
    whole["static_resources"]["clusters"] += [_untyped(c) for c in clusters(deployments, settings)]
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = {**_untyped(routes(deployments, settings)), "validate_clusters": True}
    return whole


def _untyped(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}


def _text(value: object) -> str:
    return json.dumps(value, indent=1)
