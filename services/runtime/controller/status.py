"""What the controller knows about each deployment, written for the engine to read: one JSON file per deployment."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.domain import Event, Phase, PredictorStatus
from services.files import read_text, write_atomically, write_if_changed
from services.settings import StatePaths

log = logging.getLogger(__name__)

MAX_EVENTS = 200
HEARTBEAT_STALE_S = 10.0


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """The controller's view of one deployment.

    Attributes:
        version: the desired version that it was made from.
        manifest: that desired manifest (YAML), so that a deployment being deleted can still be shown.
        deleting: the desired manifest is gone; processes are being drained.
        problem: what is wrong with a newer manifest, in words.
        waiting: why the wanted split is not in force yet, in words.
    """

    version: str
    manifest: str
    predictors: tuple[PredictorStatus, ...] = ()
    events: tuple[Event, ...] = ()
    deleting: bool = False
    problem: str = ""
    waiting: str = ""

    def with_event(self, message: str, *, kind: str = "Normal", predictor: str = "") -> DeploymentRecord:
        """The record with one more event; the oldest are forgotten beyond MAX_EVENTS."""
        event = Event(datetime.now(UTC), kind, message, predictor)
        return replace(self, events=(*self.events, event)[-MAX_EVENTS:])

    def predictor(self, name: str) -> PredictorStatus | None:
        return next((p for p in self.predictors if p.name == name), None)


class StatusBook:
    """Records by (namespace, name). One writer, the controller; any number of readers."""

    def __init__(self, paths: StatePaths) -> None:
        self._folder = paths.status / "deployments"

    def read(self, namespace: str, name: str) -> DeploymentRecord | None:
        text = read_text(self._file(namespace, name))
        if text is None:
            return None
        try:
            return _from_json(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("the status of %s/%s is unreadable and will be made anew: %s", namespace, name, error)
            return None

    def write(self, namespace: str, name: str, record: DeploymentRecord) -> None:
        write_if_changed(self._file(namespace, name), json.dumps(_to_json(record), indent=1))

    def remove(self, namespace: str, name: str) -> None:
        self._file(namespace, name).unlink(missing_ok=True)

    def known(self) -> Iterator[tuple[str, str]]:
        for file in sorted(self._folder.glob("*/*.json")):
            yield file.parent.name, file.stem

    def _file(self, namespace: str, name: str) -> Path:
        return self._folder / namespace / f"{name}.json"


def _to_json(record: DeploymentRecord) -> dict[str, Any]:
    data = asdict(record)
    data["events"] = [{**event, "at": event["at"].isoformat()} for event in data["events"]]
    return data


def _from_json(data: dict[str, Any]) -> DeploymentRecord:
    return DeploymentRecord(
        version=data["version"],
        manifest=data["manifest"],
        predictors=tuple(
            PredictorStatus(**{**p, "phase": Phase(p["phase"]), "log_tail": tuple(p["log_tail"])})
            for p in data["predictors"]
        ),
        events=tuple(Event(**{**e, "at": datetime.fromisoformat(e["at"])}) for e in data["events"]),
        deleting=data["deleting"],
        problem=data["problem"],
        waiting=data.get("waiting", ""),
    )


def beat(paths: StatePaths, part: str, pid: int) -> None:
    """Leave a sign of life."""
    write_atomically(heartbeat_path(paths, part), json.dumps({"pid": pid, "at": time.time()}))


def heartbeat_age_s(paths: StatePaths, part: str) -> float | None:
    """Seconds since the part's last sign of life; None if there never was one."""
    text = read_text(heartbeat_path(paths, part))
    try:
        return max(0.0, time.time() - float(json.loads(text)["at"])) if text else None
    except (ValueError, KeyError, TypeError):
        return None


def heartbeat_path(paths: StatePaths, part: str) -> Path:
    return paths.status / f"{part}.json"
