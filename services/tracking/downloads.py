"""Fetching all files of a model, one by one, so that whoever waits sees how far it is and can stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from services.errors import InvalidInput, NotFound
from services.tracking.door import Door

FilesSeen = Callable[[int, int], None]
"""Called with how many files are there, and of how many; may raise to stop."""


def fetch_files(door: Door, location: str, folder: Path, seen: FilesSeen) -> Path:
    """Download everything below `location` into `folder`; what is whole there from an earlier try is fetched again.

    Raises NotFound when there is nothing, InvalidInput for a file name that leads out of the folder, Unavailable.
    """
    with door.asking("model", location):
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository: Any = get_artifact_repository(location, tracking_uri=door.tracking_uri)
        paths = list(_walk(repository, None))
        for path in paths:
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise InvalidInput(f"{location} names a file outside itself: {path}.")
        folder.mkdir(parents=True, exist_ok=True)
        for count, path in enumerate(paths):
            seen(count, len(paths))
            repository.download_artifacts(path, str(folder))
    if not paths:
        raise NotFound("model", location)
    seen(len(paths), len(paths))
    return folder


def _walk(repository: Any, path: str | None) -> Iterator[str]:
    for entry in repository.list_artifacts(path):
        if entry.is_dir:
            yield from _walk(repository, entry.path)
        else:
            yield entry.path
