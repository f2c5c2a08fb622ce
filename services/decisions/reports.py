"""The rendered reports of decisions: files in the state folder, and in the store where several machines share it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from services.evidence.files import FileTable
from services.files import read_text, write_atomically


@dataclass(frozen=True, slots=True)
class Reports:
    """HTML by the name that `keep` gave it."""

    folder: Path
    files: FileTable

    def keep(self, html: str) -> str:
        """Write a report so that a restart, or another machine, finds it; returns its name. Raises Unavailable."""
        name = f"{secrets.token_hex(8)}.html"
        write_atomically(self.folder / name, html)
        if self.files.shared:
            self.files.put(_kept(name), html.encode())
        return name

    def read(self, name: str) -> str | None:
        """A report; None if it was deleted or `name` is empty. Raises Unavailable."""
        if not name:
            return None
        found = read_text(self.folder / name)
        if found is None and self.files.shared and (content := self.files.get(_kept(name))) is not None:
            return content.decode()
        return found


def _kept(name: str) -> str:
    return f"decision/{name}"
