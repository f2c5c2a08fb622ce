"""The dataset of a replay, on whichever machine it is asked for: dashboard and worker may not share a disk.

Asked for where it was uploaded, it is a file; elsewhere it is fetched from the evidence store and kept as a file.
"""

from __future__ import annotations

import logging

from services.errors import NotFound, Unavailable
from services.evidence.files import FileTable
from services.settings import Settings
from services.traffic.datasets import BUNDLED, SUFFIXES, Dataset, load_dataset

log = logging.getLogger(__name__)


class ReplayDatasets:
    """Keeps and finds the datasets of replays. Thread-safe."""

    def __init__(self, files: FileTable, settings: Settings) -> None:
        self._files, self._settings = files, settings

    def keep(self, dataset: Dataset) -> None:
        """Let other machines have it, where there may be some. Raises Unavailable."""
        if not self._files.shared or dataset.name in BUNDLED:
            return
        name = _name(dataset.digest, dataset.path.suffix.lower())
        if self._files.has(name):
            return
        try:
            content = dataset.path.read_bytes()
        except OSError as error:
            raise Unavailable(f"The file {dataset.path}", str(error)) from error
        self._files.put(name, content)

    def load(self, source: str, digest: str = "") -> Dataset:
        """A dataset by its name or path; with `digest`, one that has it, if there is one anywhere.

        Raises as `load_dataset` does.
        """
        limit = self._settings.max_upload_mb
        try:
            found = load_dataset(source, limit)
        except NotFound:
            if not (kept := self._fetched(digest)):
                raise
            return kept
        if not digest or found.digest == digest:
            return found
        return self._fetched(digest) or found

    def _fetched(self, digest: str) -> Dataset | None:
        if not digest or not self._files.shared:
            return None
        for suffix in SUFFIXES:
            path = self._settings.paths.uploads / f"{digest}{suffix}"
            if not path.exists():
                content = self._files.get(_name(digest, suffix))
                if content is None:
                    continue
                log.info("dataset %s comes from the evidence store", digest)
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    part = path.with_suffix(".part")
                    part.write_bytes(content)
                    part.replace(path)
                except OSError as error:
                    raise Unavailable("The upload folder", str(error), f"Check {path.parent}.") from error
            return load_dataset(path, self._settings.max_upload_mb)
        return None


def _name(digest: str, suffix: str) -> str:
    return f"dataset/{digest}{suffix}"
