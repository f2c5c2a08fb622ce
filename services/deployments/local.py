"""The engine on one machine: desired manifests in a folder, a controller that makes them so, Envoy in front.

This class only writes what is wanted and reads what is; the controller process does the work. So commands return
quickly, and a command given while the controller is down is carried out when it is back.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from services.deployments import local_preflight
from services.deployments.desired import Desired, DesiredStore, render
from services.deployments.local_start import came_up, startup_of
from services.deployments.manifest import from_yaml
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
    Severity,
    Split,
    Startup,
    check_name,
)
from services.errors import DecantError, InvalidDeployment, InvalidInput, NotFound, Unavailable
from services.files import tail_lines
from services.runtime.controller.replicas import Replica, ReplicaBook, revision_of
from services.runtime.controller.status import (
    HEARTBEAT_STALE_S,
    DeploymentRecord,
    StatusBook,
    heartbeat_age_s,
)
from services.runtime.envoy.admin import EnvoyAdmin
from services.runtime.envoy.bootstrap import admin_socket
from services.runtime.envoy.model import PREDICTOR_HEADER
from services.runtime.supervisor.config import log_path
from services.settings import Settings

CONFIRM_TIMEOUT_S = 5.0
CONFIRM_POLL_S = 0.005
START_LOG_LINES = 300


class LocalEngine:
    """Implements `services.deployments.engine.Engine`."""

    relay = None
    """Everything has an address on this machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._desired = DesiredStore(settings.paths.desired)
        self._records = StatusBook(settings.paths)
        self._gateway = EnvoyAdmin(admin_socket(settings))

    @property
    def loads_unseen(self) -> bool:
        return True

    @property
    def arm_options(self) -> frozenset[ArmOption]:
        return frozenset({ArmOption.START_BUDGET})  # models are fetched and run as Decant itself, without a container

    def get(self, namespace: str, name: str) -> DeploymentStatus:
        desired = self._find(namespace, name)
        return self._status(desired, self._splits())

    def apply(
        self,
        deployment: Deployment,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
        dry_run: bool = False,
    ) -> DeploymentStatus:
        desired = self._desired.put(deployment, note, expected_version, dry_run=dry_run)
        return self._status(desired, self._splits())

    def set_traffic(
        self, namespace: str, name: str, split: Split, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus:
        present = self._desired.get(namespace, name)
        if problems := split.problems():
            raise InvalidDeployment(name, problems)
        moved = present.deployment.with_split(split)
        # Never overwrite a change made since the line above, even if the caller does not care about versions.
        desired = self._desired.put(moved, note, expected_version or present.version)
        self._confirm(desired)
        return self._status(desired, self._splits())

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        del note  # the audit trail is kept by services.operations
        self._desired.remove(namespace, name)

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        desired = self._desired.get(namespace, name)
        if predictor is not None:
            desired.deployment.predictor(predictor)
        return Endpoint(
            url=f"{self._settings.gateway_url}/seldon/{namespace}/{name}",
            headers=((PREDICTOR_HEADER, predictor),) if predictor else (),
            protocol=desired.deployment.protocol,
            model=name,  # the model servers know it by the deployment's name too, whichever arm it is
            predictor=predictor or "",
        )

    def logs(self, namespace: str, name: str, predictor: str, tail: int = 100) -> list[str]:
        self._find(namespace, name).deployment.predictor(predictor)
        replicas = self._replicas_of(namespace, name, predictor)
        several = len(replicas) > 1
        lines: list[str] = []
        for replica in replicas:
            found = tail_lines(log_path(self._paths, replica.program), tail)
            lines += [f"[{replica.revision}/{replica.index}] {line}" for line in found] if several else found
        return lines[-tail * max(1, len(replicas)) :]

    def events(self, namespace: str, name: str) -> list[Event]:
        self._find(namespace, name)
        record = self._records.read(namespace, name)
        return list(record.events) if record else []

    def startup(self, namespace: str, name: str, predictor: str) -> Startup:
        desired = self._find(namespace, name)
        wanted = desired.deployment.predictor(predictor)
        status = _predictor_status(predictor, wanted.replicas, desired, self._records.read(namespace, name))
        mine = self._replicas_of(namespace, name, predictor)
        # Of two models while one replaces the other, the one that has to come up; of its replicas, the one behind.
        behind = [r for r in mine if r.revision == revision_of(wanted)] or mine
        logs = [tail_lines(log_path(self._paths, r.program), START_LOG_LINES) for r in behind]
        at = min(range(len(behind)), key=lambda i: came_up(logs[i]), default=None)
        budget_s = self._settings.start_timeout_s if wanted.start_budget_s is None else wanted.start_budget_s
        log, port = (logs[at], behind[at].port) if at is not None else ([], None)
        return startup_of(status, log, port=port, budget_s=budget_s)

    def preflight(
        self, deployment: Deployment, models: Mapping[str, ModelFacts], *, note: ChangeNote
    ) -> Sequence[Finding]:
        del note  # on one machine everybody may do everything
        found = list(local_preflight.findings(deployment, models, platform.python_version(), _installed))
        if not self._controller_lives():
            words = "The controller does not run: the deployment would be kept until it is back."
            found.append(Finding(Severity.WARNS, "engine", words, "Start Decant with `make run`."))
        return found

    def preview(self, deployment: Deployment, *, note: ChangeNote) -> str:
        return render(self._desired.put(deployment, note, None, dry_run=True))

    def manifest(self, namespace: str, name: str) -> str:
        return render(self._find(namespace, name))

    # Last, because from here on the name `list` means this method.
    def list(self, namespace: str | None = None) -> list[DeploymentStatus]:
        splits = self._splits()
        present = {d.deployment.key: d for d in self._desired.all()}
        for key in self._records.known():
            if "/".join(key) not in present and (recorded := self._recorded(*key)):
                present["/".join(key)] = recorded
        statuses = [self._status(present[key], splits) for key in sorted(present)]
        return [s for s in statuses if namespace in (None, s.deployment.namespace)]

    def _find(self, namespace: str, name: str) -> Desired:
        check_name("namespace", namespace)
        check_name("deployment", name)
        try:
            return self._desired.get(namespace, name)
        except (NotFound, InvalidInput):
            recorded = self._recorded(namespace, name)
            if recorded is None:
                raise
            return recorded

    def _replicas_of(self, namespace: str, name: str, predictor: str) -> Sequence[Replica]:
        key = (namespace, name, predictor)
        return [r for r in ReplicaBook(self._paths).all() if (r.namespace, r.deployment, r.predictor) == key]

    def _recorded(self, namespace: str, name: str) -> Desired | None:
        """What the controller still runs though its manifest is deleted (it drains) or was spoiled by hand."""
        record = self._records.read(namespace, name)
        if record is None:
            return None
        return Desired(from_yaml(record.manifest), record.version, "", None, "")

    def _splits(self) -> dict[str, Split] | None:
        try:
            return self._gateway.splits()
        except Unavailable:
            return None

    def _status(self, desired: Desired, splits: dict[str, Split] | None) -> DeploymentStatus:
        deployment = desired.deployment
        record = self._records.read(deployment.namespace, deployment.name)
        in_force = (splits or {}).get(deployment.key)
        return DeploymentStatus(
            deployment=deployment,
            version=desired.version,
            predictors=tuple(_predictor_status(p.name, p.replicas, desired, record) for p in deployment.predictors),
            in_force=in_force,
            changed_by=desired.changed_by,
            changed_at=desired.changed_at,
            deleting=record is not None and not self._desired.has(deployment.namespace, deployment.name),
            message=self._message(record, splits is not None),
        )

    def _message(self, record: DeploymentRecord | None, gateway_answers: bool) -> str:
        if not self._controller_lives():
            return "The controller does not run: changes are kept and carried out when it is back."
        if not gateway_answers:
            return "The gateway does not answer: the split in force is unknown."
        return (record.problem or record.waiting) if record else ""

    def _controller_lives(self) -> bool:
        age_s = heartbeat_age_s(self._paths, "controller")
        return age_s is not None and age_s < HEARTBEAT_STALE_S

    def _confirm(self, desired: Desired) -> None:
        """Wait until the gateway does what was asked, or will do it by itself once an arm is ready.

        Raises Unavailable with the part that is to blame.
        """
        deployment = desired.deployment
        wanted = deployment.split.as_dict()

        def confirmed() -> bool:
            in_force = self._gateway.split_in_force(deployment.namespace, deployment.name)
            if in_force is not None and in_force.as_dict() == wanted:
                return True
            record = self._records.read(deployment.namespace, deployment.name)
            unready = record is not None and any(p.phase is not Phase.READY for p in record.predictors)
            return record is not None and record.version == desired.version and unready and bool(record.waiting)

        saved = "The new split is saved and comes into force when it is back."
        if not _wait(confirmed, CONFIRM_TIMEOUT_S):
            if not self._controller_lives():
                raise Unavailable("The controller", "", saved)
            raise Unavailable("The gateway", f"it did not take the split within {CONFIRM_TIMEOUT_S:g} s", saved)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _predictor_status(name: str, replicas: int, desired: Desired, record: DeploymentRecord | None) -> PredictorStatus:
    seen = record.predictor(name) if record else None
    if seen is None or record is None:
        return PredictorStatus(name, Phase.PENDING, 0, replicas, "waiting for the controller")
    if record.version != desired.version:
        # The controller has not looked yet: what it said is about an older wish.
        return replace(seen, desired=replicas, updating=True)
    return seen


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return True
        except DecantError:
            pass  # not there yet; the deadline decides
        if time.monotonic() > deadline:
            return False
        time.sleep(CONFIRM_POLL_S)
