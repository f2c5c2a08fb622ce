"""Copying a model into the store: once, whole, and checked.

A model's folder in the store is named by its logged model, else by the digest of its files, so whoever publishes the
same model writes the same files to the same place, and two at once do no harm. The marker goes last: without it a
folder is unfinished, and the next publication completes it, sending only what is missing or differs. Everything is read
back and compared before the marker is written, and again whenever a published model is used anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from services.errors import DecantError, InvalidInput
from services.publishing.marker import MARKER, FileMark, Marker, digest_of, read_marker
from services.publishing.store import CHUNK_BYTES, ModelStore


class Step(StrEnum):
    """What is being done with a model; the values are the words for people."""

    WAITING = "waiting"
    FETCHING = "fetching from MLflow"
    UPLOADING = "copying to the store"
    CHECKING = "comparing with the original"
    DONE = "published"


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one model is: files and bytes done of those there are, in the present step."""

    step: Step = Step.WAITING
    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0


class Stopped(Exception):
    """Whoever asked for the publication does not want it any more."""


@dataclass(frozen=True, slots=True)
class Published:
    """A model in the store. `reused`: it was there already, whole."""

    uri: str
    digest: str
    files: int
    bytes: int
    reused: bool


@dataclass(frozen=True, slots=True)
class Original:
    """The model to publish.

    Attributes:
        uri: its pinned name, for the marker and for errors.
        model_id: its logged model, if it is one.
        fetch: puts its files into a folder, given a listener for (files, of how many); returns where they are.
    """

    uri: str
    model_id: str | None
    fetch: Callable[[Path, Callable[[int, int], None]], Path]


class Altered(DecantError):
    """A published model is not what it was when it was published."""

    exit_code = 6


def publish(
    original: Original, store: ModelStore, folder: Path, who: str, report: Callable[[Moved], None]
) -> Published:
    """See the module. `folder` is empty or holds what an earlier try has fetched; `report` may raise Stopped.

    Raises:
        Altered: the store holds a finished model of that name with other content.
        NotFound, Rejected, Unavailable: what the store or MLflow says.
        InvalidInput: the model cannot be published, such as one with a link that leads out of its folder.
    """
    store.check()
    if original.model_id and (found := _finished(store, original.model_id, report)):
        return found
    report(Moved(Step.FETCHING))
    here = original.fetch(folder, lambda files, total: report(Moved(Step.FETCHING, files, total)))
    files = local_files(here)
    name = original.model_id or f"sha256-{digest_of(files)}"
    if not original.model_id and (found := _finished(store, name, report)):
        return found
    moved = Moved(Step.UPLOADING, 0, len(files), 0, sum(mark.bytes for mark in files.values()))
    for path, mark in sorted(files.items()):
        moved = _bring(store, f"{name}/{path}", here / path, mark, moved, report)
    _compare(store, name, files, report, "was not stored as it was sent")
    marker = Marker(original.uri, files, who, datetime.now(UTC).isoformat(timespec="seconds"))
    store.write_bytes(f"{name}/{MARKER}", marker.to_json())
    report(replace(moved, step=Step.DONE, files=len(files), bytes=moved.bytes_total))
    return Published(store.place.uri(name), marker.digest, len(files), marker.size, reused=False)


def local_files(folder: Path) -> dict[str, FileMark]:
    """Every file below the folder. Raises InvalidInput for links that lead out of it, and for none at all."""
    root = folder.resolve()
    found: dict[str, FileMark] = {}
    for base, _, names in os.walk(root):
        for name in names:
            file = Path(base) / name
            path = file.relative_to(root).as_posix()
            if not file.resolve().is_relative_to(root):
                raise InvalidInput(f"{path} in {folder} is a link that leads out of the model.", "Log the model anew.")
            if path != MARKER:
                found[path] = _mark(file)
    if "MLmodel" not in found:
        raise InvalidInput(f"{folder} holds no MLflow model.", "It has no file MLmodel.")
    return found


def _mark(file: Path) -> FileMark:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return FileMark(digest.hexdigest(), file.stat().st_size)


def _finished(store: ModelStore, name: str, report: Callable[[Moved], None]) -> Published | None:
    """The model if it is in the store and whole. Raises Altered."""
    text = store.read(f"{name}/{MARKER}")
    marker = read_marker(text) if text else None
    if marker is None:
        return None
    _compare(store, name, marker.files, report, f"is not what {marker.who} published at {marker.at}")
    done = Moved(Step.DONE, len(marker.files), len(marker.files), marker.size, marker.size)
    report(done)
    return Published(store.place.uri(name), marker.digest, len(marker.files), marker.size, reused=True)


def _bring(
    store: ModelStore, path: str, source: Path, mark: FileMark, moved: Moved, report: Callable[[Moved], None]
) -> Moved:
    """Upload one file, unless a try that was cut short has done it."""
    sent = 0

    def tick(count: int) -> None:
        nonlocal sent
        sent += count
        report(replace(moved, bytes=moved.bytes + min(sent, mark.bytes)))

    report(moved)
    there = store.size(path) == mark.bytes and store.sha256(path, lambda _: report(moved)) == mark.sha256
    if not there:
        store.write(path, source, tick)
    after = replace(moved, files=moved.files + 1, bytes=moved.bytes + mark.bytes)
    report(after)
    return after


def _compare(
    store: ModelStore, name: str, files: Mapping[str, FileMark], report: Callable[[Moved], None], complaint: str
) -> None:
    """Read everything back. Raises Altered at the first difference."""
    total = sum(mark.bytes for mark in files.values())
    moved = Moved(Step.CHECKING, 0, len(files), 0, total)
    for path, mark in sorted(files.items()):
        at, before = f"{name}/{path}", moved
        size = store.size(at)
        done = 0

        def tick(count: int, before: Moved = before) -> None:
            nonlocal done
            done += count
            report(replace(before, bytes=before.bytes + done))

        if size is None:
            raise _altered(store, name, f"{path} is missing: the folder {complaint}")
        if size != mark.bytes or store.sha256(at, tick) != mark.sha256:
            raise _altered(store, name, f"{path} {complaint}")
        moved = replace(before, files=before.files + 1, bytes=before.bytes + mark.bytes)
        report(moved)


def _altered(store: ModelStore, name: str, what: str) -> Altered:
    uri = store.place.uri(name)
    return Altered(
        f"The model in {uri} cannot be trusted: {what}.",
        f"Find out who wrote there; then delete {uri} and apply again, which publishes the model anew.",
    )
