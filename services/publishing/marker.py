"""What makes a published model whole: a small file, written last, that names every other file and its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

MARKER = "decant-model.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileMark:
    """One file: SHA-256 of its content and its size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Marker:
    """A published model. `files` by path relative to the model's folder; `at` is ISO 8601 in UTC."""

    source: str
    files: Mapping[str, FileMark]
    who: str
    at: str

    @property
    def size(self) -> int:
        """Of all files together, in bytes."""
        return sum(mark.bytes for mark in self.files.values())

    @property
    def digest(self) -> str:
        return digest_of(self.files)

    def to_json(self) -> bytes:
        listed = {path: {"sha256": mark.sha256, "bytes": mark.bytes} for path, mark in sorted(self.files.items())}
        body = {"format": FORMAT, "source": self.source, "digest": self.digest, "who": self.who, "at": self.at}
        return json.dumps({**body, "files": listed}, indent=1).encode()


def read_marker(text: bytes) -> Marker | None:
    """The marker that `to_json` wrote; None if it is something else, so that the model counts as not published."""
    try:
        body = json.loads(text)
        files = {str(p): FileMark(str(m["sha256"]), int(m["bytes"])) for p, m in body["files"].items()}
        found = Marker(str(body["source"]), files, str(body["who"]), str(body["at"]))
        whole = body["format"] == FORMAT and body["digest"] == found.digest and bool(files)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole else None


def digest_of(files: Mapping[str, FileMark]) -> str:
    """SHA-256 over paths and contents: two folders with equal files have one digest."""
    lines = "".join(f"{mark.sha256}  {path}\n" for path, mark in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
