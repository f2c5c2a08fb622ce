"""Desired state of the local engine: a folder of SeldonDeployment manifests, one file per deployment.

The file is the truth: whatever changes a deployment writes it atomically under a lock, and the controller reads it.
Each write gets a new opaque version; a writer that read an older one is refused.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from services.deployments.manifest import (
    CHANGE_REASON,
    CHANGED_AT,
    CHANGED_BY,
    STAMPS,
    from_yaml,
    to_manifest,
    to_yaml,
)
from services.deployments.stamps import stamps
from services.domain import ChangeNote, Deployment, check_name, plain_reason
from services.errors import Conflict, DecantError, InvalidInput, NotFound, Unavailable
from services.files import read_text, write_atomically

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Desired:
    """A deployment as somebody last asked for it."""

    deployment: Deployment
    version: str
    changed_by: str
    changed_at: datetime | None
    why: str

    @property
    def change(self) -> str:
        """Who changed it, when and why, in words."""
        when = f" at {self.changed_at:%Y-%m-%d %H:%M:%S %Z}" if self.changed_at else ""
        reason = plain_reason(self.why)
        why = f" ({reason})" if reason else ""
        return f"{self.changed_by or 'somebody'} changed it{when}{why}"


class DesiredStore:
    """The folder of manifests: `<folder>/<namespace>/<name>.yaml`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Desired]:
        """Every readable manifest. An unreadable one (edited by hand) is logged and left alone; see `broken`."""
        return [found for found in self._each() if isinstance(found, Desired)]

    def broken(self) -> dict[tuple[str, str], str]:
        """Manifests that cannot be used, by (namespace, name), with the reason in words."""
        return dict(found for found in self._each() if isinstance(found, tuple))

    def get(self, namespace: str, name: str) -> Desired:
        """Raises NotFound, naming what there is, and InvalidName for names that can be no deployment's."""
        text = read_text(self._file(namespace, name))
        if text is None:
            raise NotFound("deployment", f"{namespace}/{name}", [d.deployment.key for d in self.all()])
        return _read(text)

    def has(self, namespace: str, name: str) -> bool:
        """Whether somebody wants this deployment; its manifest may be broken."""
        return self._file(namespace, name).exists()

    def put(
        self, deployment: Deployment, note: ChangeNote, expected_version: str | None, *, dry_run: bool = False
    ) -> Desired:
        """Write a deployment.

        Args:
            expected_version: None takes whatever is there, "" demands that nothing is, anything else that very version.
            dry_run: do everything but write.

        Raises:
            Conflict: if another version is there; names who changed it and when.
            InvalidDeployment, InvalidName: if Seldon would refuse it.
        """
        deployment.validated()
        with self._locked(deployment.namespace, deployment.name):
            self._check_version(deployment.namespace, deployment.name, expected_version)
            desired = _stamped(deployment, note)
            if not dry_run:
                write_atomically(self._file(deployment.namespace, deployment.name), render(desired))
            return desired

    def remove(self, namespace: str, name: str) -> None:
        """Raises NotFound."""
        with self._locked(namespace, name):
            self.get(namespace, name)
            self._file(namespace, name).unlink()

    def _check_version(self, namespace: str, name: str, expected: str | None) -> None:
        if expected is None:
            return
        what = f"Deployment “{namespace}/{name}”"
        try:
            present = self.get(namespace, name)
        except NotFound as error:
            if expected == "":
                return
            raise Conflict(what, "somebody deleted it") from error
        if present.version != expected:
            raise Conflict(what, present.change)

    def _each(self) -> Iterator[Desired | tuple[tuple[str, str], str]]:
        for file in sorted(self._folder.glob("*/*.yaml")):
            text = read_text(file)
            if text is None:  # deleted since the listing
                continue
            try:
                found = _read(text)
                if (found.deployment.namespace, found.deployment.name) != (file.parent.name, file.stem):
                    raise InvalidInput(f"It describes {found.deployment.key}, which does not fit its file name.")
                found.deployment.validated()
            except DecantError as error:
                log.warning("%s cannot be used: %s", file, error)
                yield (file.parent.name, file.stem), str(error)
            else:
                yield found

    @contextmanager
    def _locked(self, namespace: str, name: str) -> Iterator[None]:
        name = self._file(namespace, name).stem
        folder = self._folder / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f"{namespace}.{name}.lock", timeout=LOCK_TIMEOUT_S):
                yield
        except Timeout as error:
            raise Unavailable(
                "The desired state", f"another change of {namespace}/{name} is under way", "Try again in a moment."
            ) from error

    def _file(self, namespace: str, name: str) -> Path:
        """Raises InvalidName: names come from addresses and command lines, and must not leave the folder."""
        return self._folder / check_name("namespace", namespace) / f"{check_name('deployment', name)}.yaml"


def render(desired: Desired) -> str:
    """The manifest as it stands in the file."""
    return to_yaml(to_manifest(desired.deployment))


def _stamped(deployment: Deployment, note: ChangeNote) -> Desired:
    kept = {key: value for key, value in deployment.annotations if key not in STAMPS}
    annotations = tuple(sorted({**kept, **stamps(note)}.items()))
    return _read(to_yaml(to_manifest(replace(deployment, annotations=annotations))))


def _read(text: str) -> Desired:
    deployment = from_yaml(text)
    notes = dict(deployment.annotations)
    try:
        changed_at = datetime.fromisoformat(notes[CHANGED_AT])
    except (KeyError, ValueError):  # written by hand
        changed_at = None
    return Desired(
        deployment,
        version=hashlib.sha256(text.encode()).hexdigest()[:12],
        changed_by=notes.get(CHANGED_BY, ""),
        changed_at=changed_at,
        why=notes.get(CHANGE_REASON, ""),
    )
