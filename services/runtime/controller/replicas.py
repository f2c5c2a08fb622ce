"""Replicas of a predictor: one model-server process each, remembered on disk so that a restart finds them again.

A record is written before its process is started and deleted after its process has ended, so whatever runs is on
record, wherever the controller was killed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from services.domain import Predictor
from services.errors import StartFailed
from services.files import read_text, write_atomically
from services.runtime.supervisor.config import Program
from services.settings import Settings, StatePaths

log = logging.getLogger(__name__)

STEADY_S = 8
"""A model server that ends sooner than this has failed to load its model."""
RETRIES = 1


@dataclass(frozen=True, slots=True)
class Replica:
    """One model-server process: which model it serves for which predictor, and on which loopback port."""

    namespace: str
    deployment: str
    predictor: str
    revision: str
    index: int
    port: int
    model_uri: str
    node: str
    dataframe_input: bool

    @property
    def program(self) -> str:
        """Its name in supervisord. Dots cannot occur in DNS labels, so the parts stay apart."""
        return f"model.{self.namespace}.{self.deployment}.{self.predictor}.{self.revision}.{self.index}"

    @property
    def deployment_key(self) -> str:
        return f"{self.namespace}/{self.deployment}"


def revision_of(predictor: Predictor) -> str:
    """A short digest of everything that makes a new process necessary. Traffic and replicas are not in it."""
    parts = [predictor.model_uri, predictor.node_name, *(f"{p.name}={p.value}" for p in predictor.parameters)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def program_for(replica: Replica, settings: Settings) -> Program:
    """How supervisord starts this replica."""
    command = [
        *(sys.executable, "-m", "services.runtime.model_server"),
        *("--port", str(replica.port)),
        *("--model-uri", replica.model_uri),
        *("--namespace", replica.namespace),
        *("--deployment", replica.deployment),
        *("--predictor", replica.predictor),
        *("--node", replica.node),
        *("--replica", str(replica.index)),
        *("--gateway-url", settings.gateway_url),
        *("--models-dir", str(settings.paths.models)),
        *("--max-body-mb", str(settings.max_body_mb)),
        *("--batch-rows", str(settings.batch_rows)),
        *("--drain-s", str(settings.drain_s)),
        *(["--dataframe-input"] if replica.dataframe_input else []),
    ]
    return Program(
        name=replica.program,
        command=command,
        environment={"MLFLOW_TRACKING_URI": settings.tracking_uri},
        steady_s=STEADY_S,
        retries=RETRIES,
        stop_s=int(settings.drain_s) + 2,
        priority=600,
    )


class ReplicaBook:
    """The records on disk: one JSON file per replica."""

    def __init__(self, paths: StatePaths) -> None:
        self._folder = paths.supervisor / "replicas"
        self._folder.mkdir(parents=True, exist_ok=True)

    def all(self) -> list[Replica]:
        found = []
        for file in sorted(self._folder.glob("model.*.json")):
            try:
                found.append(Replica(**json.loads(read_text(file) or "")))
            except (ValueError, TypeError) as error:
                log.warning("dropping the unreadable record %s: %s", file.name, error)
                file.unlink(missing_ok=True)
        return found

    def add(self, replica: Replica) -> None:
        write_atomically(self._file(replica), json.dumps(asdict(replica)))

    def forget(self, replica: Replica) -> None:
        self._file(replica).unlink(missing_ok=True)

    def _file(self, replica: Replica) -> Path:
        return self._folder / f"{replica.program}.json"


def free_model_port(settings: Settings, taken: Iterable[int]) -> int:
    """A port of the configured range that is on no record and that nobody listens on. Raises StartFailed if none is."""
    used = set(taken)
    for port in range(settings.model_port_first, settings.model_port_last + 1):
        if port not in used and can_bind(port):
            return port
    raise StartFailed(
        "A model server",
        f"no port from {settings.model_port_first} to {settings.model_port_last} is free",
        hint="Delete a deployment, or widen DECANT_MODEL_PORT_FIRST to DECANT_MODEL_PORT_LAST.",
    )


def can_bind(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
