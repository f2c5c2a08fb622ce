"""What the controller writes down for others to read: the record of each deployment, with an event for every change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from services.domain import Deployment, Phase, PredictorStatus
from services.runtime.controller.replicas import Replica
from services.runtime.controller.status import DeploymentRecord, StatusBook
from services.settings import StatePaths


@dataclass(frozen=True, slots=True)
class Wanted:
    """One desired deployment: the parsed manifest, its version, its text, and what is wrong with a newer one."""

    deployment: Deployment
    version: str
    manifest: str
    problem: str = ""


class Journal:
    """The records on disk."""

    def __init__(self, paths: StatePaths) -> None:
        self._records = StatusBook(paths)

    def write(
        self,
        wanted: Mapping[str, Wanted],
        statuses: Mapping[str, tuple[PredictorStatus, ...]],
        waiting: Mapping[str, str],
    ) -> None:
        """Bring the records of the wanted deployments up to date; all mappings go by `namespace/name`."""
        for key, item in wanted.items():
            namespace, name = item.deployment.namespace, item.deployment.name
            before = self._records.read(namespace, name)
            self._records.write(namespace, name, _advance(before, item, statuses[key], waiting.get(key, "")))

    def close(self, wanted: Collection[str], replicas: Iterable[Replica], in_force: Collection[str]) -> None:
        """Mark deployments that nobody wants any more, and forget those of which nothing is left."""
        left = {r.deployment_key for r in replicas}
        for namespace, name in list(self._records.known()):
            key = f"{namespace}/{name}"
            if key in wanted:
                continue
            record = self._records.read(namespace, name)
            if record is None or (key not in left and key not in in_force):
                self._records.remove(namespace, name)
            elif not record.deleting:
                self._records.write(namespace, name, _deleting(record))


def _advance(
    before: DeploymentRecord | None, item: Wanted, statuses: tuple[PredictorStatus, ...], waiting: str
) -> DeploymentRecord:
    """The new record, with an event for everything that changed since the last one."""
    events = before.events if before else ()
    record = DeploymentRecord(item.version, item.manifest, statuses, events, problem=item.problem, waiting=waiting)
    if before is None:
        record = record.with_event("created")
    elif before.version != item.version:
        record = record.with_event(f"changed: {item.deployment.split}")
    for status in statuses:
        old = before.predictor(status.name) if before else None
        if old is not None and (old.phase, old.ready, old.updating) == (status.phase, status.ready, status.updating):
            continue
        kind = "Warning" if status.phase is Phase.FAILED else "Normal"
        what = f"{status.phase}: {status.ready} of {status.desired} ready"
        if status.updating:
            what += ", replacing the older model"
        if status.reason:
            what += f" ({status.reason})"
        record = record.with_event(what, kind=kind, predictor=status.name)
    return record


def _deleting(record: DeploymentRecord) -> DeploymentRecord:
    return replace(record, deleting=True).with_event("deleted: draining")
