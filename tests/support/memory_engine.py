"""An engine that runs nothing: the whole Engine protocol over a dictionary, with real optimistic concurrency.

Predictors are ready at once and the split is in force at once, unless a test says otherwise through the public
attributes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.deployments.local_start import startup_of
from services.deployments.manifest import CHANGE_REASON, CHANGED_AT, CHANGED_BY, to_manifest, to_yaml
from services.domain import (
    ArmOption,
    ChangeNote,
    Deployment,
    DeploymentStatus,
    Endpoint,
    Event,
    Finding,
    ModelFacts,
    Phase,
    PredictorStatus,
    Split,
    Startup,
)
from services.errors import Conflict, Foreign, NotFound, Unavailable


@dataclass
class _Entry:
    deployment: Deployment
    version: int
    who: str
    at: datetime
    events: list[Event] = field(default_factory=list)


class MemoryEngine:
    """Implements services.deployments.engine.Engine. Thread-safe."""

    relay = None

    def __init__(self, gateway_url: str = "http://127.0.0.1:1") -> None:
        self.gateway_url = gateway_url
        self.down = ""  # when set, every call raises Unavailable with this part's name
        self.silent_gateway = False  # set_traffic keeps the wish but cannot confirm it; splits cannot be read
        self.phases: dict[tuple[str, str, str], tuple[Phase, str]] = {}  # (namespace, name, predictor) -> phase, reason
        self.arm_options = frozenset({ArmOption.START_BUDGET})  # as the engine of one machine
        self.findings: list[Finding] = []  # what `preflight` says
        self.seen_models: dict[str, ModelFacts] = {}  # what it was told last
        self.startups: dict[tuple[str, str, str], Startup] = {}  # what `startup` says; else made of phase and log
        self.log_lines: dict[tuple[str, str, str], list[str]] = {}
        self.notices: dict[tuple[str, str], str] = {}  # (namespace, name) -> what keeps the status from being fresh
        self.managers: dict[tuple[str, str], str] = {}  # (namespace, name) -> another tool that manages it
        self.unwritable: dict[
            tuple[str, str], str
        ] = {}  # (namespace, name) -> what it holds that Decant does not write
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._versions = 0
        self._lock = threading.RLock()

    @property
    def loads_unseen(self) -> bool:
        return True

    def get(self, namespace: str, name: str) -> DeploymentStatus:
        with self._lock:
            return self._status(self._entry(namespace, name))

    def apply(
        self,
        deployment: Deployment,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
        dry_run: bool = False,
    ) -> DeploymentStatus:
        with self._lock:
            self._reach()
            deployment.validated()
            present = self._entries.get((deployment.namespace, deployment.name))
            self._check(present, deployment.name, expected_version)
            if not dry_run:
                self._own(deployment.namespace, deployment.name, note)
            if dry_run:
                return self._status(_Entry(deployment, self._versions + 1, note.who, datetime.now(UTC)))
            return self._put(deployment, note, present, "applied")

    def set_traffic(
        self, namespace: str, name: str, split: Split, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus:
        with self._lock:
            present = self._entry(namespace, name)
            self._check(present, name, expected_version)
            self._own(namespace, name, note)
            moved = present.deployment.with_split(split).validated()
            status = self._put(moved, note, present, f"traffic {split}")
            if self.silent_gateway:
                raise Unavailable("The gateway", "it did not take the split", "It comes into force when it is back.")
            return status

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        with self._lock:
            self._entry(namespace, name)
            self._own(namespace, name, note)
            del self._entries[namespace, name]

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        entry = self._entry(namespace, name)
        if predictor is not None:
            entry.deployment.predictor(predictor)
        headers = (("x-decant-predictor", predictor),) if predictor else ()
        url = f"{self.gateway_url}/seldon/{namespace}/{name}"
        return Endpoint(url, headers, entry.deployment.protocol, name, predictor or "")

    def logs(self, namespace: str, name: str, predictor: str, tail: int = 100) -> list[str]:
        self._entry(namespace, name).deployment.predictor(predictor)
        return self.log_lines.get((namespace, name, predictor), [])[-tail:]

    def events(self, namespace: str, name: str) -> list[Event]:
        return list(self._entry(namespace, name).events)

    def startup(self, namespace: str, name: str, predictor: str) -> Startup:
        wanted = self._entry(namespace, name).deployment.predictor(predictor)
        status = self.get(namespace, name).predictor(predictor)
        key = (namespace, name, predictor)
        if key in self.startups:
            return self.startups[key]
        return startup_of(status, self.log_lines.get(key, []), port=1, budget_s=wanted.start_budget_s or 120)

    def preflight(
        self, deployment: Deployment, models: Mapping[str, ModelFacts], *, note: ChangeNote
    ) -> Sequence[Finding]:
        self._reach()
        self.seen_models = dict(models)
        return [f for f in self.findings if not f.predictor or f.predictor in [p.name for p in deployment.predictors]]

    def preview(self, deployment: Deployment, *, note: ChangeNote) -> str:
        self._reach()
        stamps = {CHANGED_BY: note.who, CHANGED_AT: datetime.now(UTC).isoformat(), CHANGE_REASON: note.why}
        return to_yaml(to_manifest(deployment.validated(), stamps))

    def manifest(self, namespace: str, name: str) -> str:
        return to_yaml(to_manifest(self._entry(namespace, name).deployment))

    # Last, because from here on the name `list` means this method.
    def list(self, namespace: str | None = None) -> list[DeploymentStatus]:
        with self._lock:
            self._reach()
            return [
                self._status(entry) for (where, _), entry in sorted(self._entries.items()) if namespace in (None, where)
            ]

    def _own(self, namespace: str, name: str, note: ChangeNote) -> None:
        manager = self.managers.get((namespace, name))
        if manager and not note.take_over:
            raise Foreign(f"Deployment “{namespace}/{name}”", [manager])
        self.managers.pop((namespace, name), None)

    def _reach(self) -> None:
        if self.down:
            raise Unavailable(self.down)

    def _entry(self, namespace: str, name: str) -> _Entry:
        self._reach()
        try:
            return self._entries[namespace, name]
        except KeyError as error:
            raise NotFound(
                "deployment", f"{namespace}/{name}", ["/".join(key) for key in sorted(self._entries)]
            ) from error

    def _check(self, present: _Entry | None, name: str, expected_version: str | None) -> None:
        if expected_version is None or expected_version == (str(present.version) if present else ""):
            return
        change = f"{present.who} changed it at {present.at:%H:%M:%S}" if present else "it was deleted"
        raise Conflict(f"Deployment “{name}”", change)

    def _put(self, deployment: Deployment, note: ChangeNote, present: _Entry | None, what: str) -> DeploymentStatus:
        if present and present.deployment == deployment:
            return self._status(present)
        self._versions += 1
        now = datetime.now(UTC)
        events = [*(present.events if present else []), Event(now, "Normal", f"{what} by {note.who}")]
        entry = _Entry(deployment, self._versions, note.who, now, events)
        self._entries[deployment.namespace, deployment.name] = entry
        return self._status(entry)

    def _status(self, entry: _Entry) -> DeploymentStatus:
        deployment = entry.deployment
        return DeploymentStatus(
            deployment=replace(deployment),
            version=str(entry.version),
            predictors=tuple(self._predictor(deployment, p.name, p.replicas) for p in deployment.predictors),
            in_force=None if self.silent_gateway else deployment.split,
            message=self.notices.get((deployment.namespace, deployment.name), ""),
            changed_by=entry.who,
            changed_at=entry.at,
            managed_by=self.managers.get((deployment.namespace, deployment.name), ""),
            unwritable=self.unwritable.get((deployment.namespace, deployment.name), ""),
        )

    def _predictor(self, deployment: Deployment, name: str, replicas: int) -> PredictorStatus:
        phase, reason = self.phases.get((deployment.namespace, deployment.name, name), (Phase.READY, ""))
        ready = replicas if phase is Phase.READY else 0
        return PredictorStatus(name, phase, ready, replicas, reason)
