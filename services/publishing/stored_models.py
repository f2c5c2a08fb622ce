"""Models at addresses below the model store, looked for there: with its endpoint and credentials, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from services.domain.places import StorePlace
from services.errors import InvalidInput, NotFound
from services.publishing.store import ModelStore, StoreOptions

MLMODEL = "MLmodel"


class StoredModels:
    """Reads what lies in the store, whoever put it there. Making one connects to nothing. Thread-safe.

    Its methods raise NotFound for an address with nothing at it, and what the store raises.
    """

    def __init__(self, place: StorePlace, options: StoreOptions) -> None:
        self._store = ModelStore(place, options)
        self._server = options.endpoint or "its provider's own address"

    def holds(self, uri: str) -> bool:
        """Whether the address is below the store."""
        return uri.startswith(f"{self._store.uri}/")

    def check(self, uri: str) -> None:
        """Raises NotFound where no model is there."""
        if self._store.size(f"{self._name(uri)}/{MLMODEL}") is None:
            raise self._nothing(uri, "no model")

    def texts(self, uri: str, wanted: Callable[[str, int | None], bool]) -> dict[str, str]:
        """The files in the model's own folder that `wanted` (name, bytes) asks for, by their names."""
        name = self._name(uri)
        there = self._store.files(name, deep=False)
        if not there:
            raise self._nothing(uri, "nothing")
        read = {path: self._store.read(f"{name}/{path}") for path, size in there.items() if wanted(path, size)}
        return {path: content.decode(errors="replace") for path, content in read.items() if content is not None}

    def fetch(self, uri: str, folder: Path, seen: Callable[[int, int], None]) -> Path:
        """Put the model's files into `folder`, telling `seen` how many of how many are there; returns the folder."""
        name = self._name(uri)
        paths = sorted(self._store.files(name, deep=True))
        if not paths:
            raise self._nothing(uri, "nothing")
        for count, path in enumerate(paths):
            seen(count, len(paths))
            if ".." in PurePosixPath(path).parts:
                raise InvalidInput(f"{uri} names a file outside itself: {path}.")
            self._store.copy_out(f"{name}/{path}", folder / path)
        seen(len(paths), len(paths))
        return folder

    def _name(self, uri: str) -> str:
        return uri.removeprefix(self._store.uri).strip("/")

    def _nothing(self, uri: str, what: str) -> NotFound:
        error = NotFound("model", uri)
        error.sentence = f"There is {what} at {uri}."
        error.hint = (
            f"It is below DECANT_MODEL_STORE, which was asked at {self._server} (DECANT_MODEL_STORE_ENDPOINT). Correct "
            "the address, or name the model as MLflow does (models:/...): Decant publishes it then."
        )
        return error
