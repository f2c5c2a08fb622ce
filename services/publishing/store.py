"""The one door to the object store: pyarrow's file systems, and their errors in Decant's words.

Credentials are found by the libraries themselves, where their own tools find them: AWS_* variables, configuration
files, a pod's role, GOOGLE_APPLICATION_CREDENTIALS. Decant neither reads nor repeats them.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.domain.places import StorePlace
from services.errors import DecantError, InvalidInput, NotFound, Rejected, Unavailable, without_secrets

PART = "The model store"
CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, ATTEMPTS = 5.0, 30.0, 3
CHUNK_BYTES = 4 * 1024 * 1024

Tick = Callable[[int], None]
"""Called with the number of bytes just moved; may raise to stop."""

_AWS = re.compile(r"AWS Error (\w+) during (\w+) operation: ?(.*)", re.DOTALL)
_REFUSED = {
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "UNRECOGNIZED_CLIENT",
    "OPT_IN_REQUIRED",
}
_ABSENT = {"NO_SUCH_BUCKET", "RESOURCE_NOT_FOUND"}
_SILENT = {
    "NETWORK_CONNECTION",
    "REQUEST_TIMEOUT",
    "SERVICE_UNAVAILABLE",
    "SLOW_DOWN",
    "THROTTLING",
    "INTERNAL_FAILURE",
}


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How to reach the store.

    Attributes:
        endpoint: address of a server other than Amazon's or Google's; empty for theirs.
        ca: file of certificates to trust; empty for the usual ones.
        folder: where the volume of a pvc:// store is mounted here.
    """

    endpoint: str = ""
    ca: str = ""
    folder: str = ""


class ModelStore:
    """A place for models. Paths are relative to it, with slashes. Making one connects to nothing. Thread-safe.

    Every method raises Unavailable when the store does not answer and Rejected when it refuses.
    """

    def __init__(self, place: StorePlace, options: StoreOptions) -> None:
        self.place, self._options = place, options
        self._made: Any = None

    @property
    def uri(self) -> str:
        return self.place.uri()

    def check(self) -> None:
        """Raises NotFound if there is no such bucket, or no folder where the volume should be mounted."""
        with self._asking("looking for the bucket"):
            if self.place.scheme == "pvc":
                if not self._options.folder or not Path(self._options.folder).is_dir():
                    raise self._not_mounted()
                return
            from pyarrow.fs import FileType

            if self._files.get_file_info([self.place.bucket])[0].type is FileType.NotFound:
                raise self._no_bucket()

    def read(self, path: str) -> bytes | None:
        """The whole of a small file; None if there is none."""
        with self._asking(f"reading {path}"):
            if self._size(path) is None:
                return None
            with self._files.open_input_stream(self._at(path)) as stream:
                return bytes(stream.read())

    def size(self, path: str) -> int | None:
        """In bytes; None if there is no such file."""
        with self._asking(f"looking at {path}"):
            return self._size(path)

    def files(self, path: str, *, deep: bool) -> dict[str, int]:
        """Every file below `path`, in folders below it too if `deep`: its bytes by its path from there."""
        from pyarrow.fs import FileSelector, FileType

        root = self._at(path)
        with self._asking(f"listing {path}"):
            found = self._files.get_file_info(FileSelector(root, allow_not_found=True, recursive=deep))
        return {f.path.removeprefix(f"{root}/"): int(f.size) for f in found if f.type is FileType.File}

    def copy_out(self, path: str, target: Path) -> None:
        """Copy a file of the store to this machine, making the folders it lies in. Raises NotFound."""
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self._at(path)
        with (
            self._asking(f"reading {path}"),
            self._files.open_input_stream(source) as stream,
            target.open("wb") as file,
        ):
            while chunk := stream.read(CHUNK_BYTES):
                file.write(chunk)

    def sha256(self, path: str, tick: Tick) -> str:
        """Of the file's content, read back from the store. Raises NotFound."""
        digest = hashlib.sha256()
        with self._asking(f"reading {path}"), self._files.open_input_stream(self._at(path)) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
                tick(len(chunk))
        return digest.hexdigest()

    def write(self, path: str, source: Path, tick: Tick) -> None:
        """Copy a file into the store, over one that is there. What is cut short is taken away again."""
        with source.open("rb") as file:
            self._write(path, iter(lambda: file.read(CHUNK_BYTES), b""), tick)

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a small file, over one that is there: whoever reads sees the old one or the new one."""
        self._write(path, iter([content]), lambda _: None)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _write(self, path: str, chunks: Iterator[bytes], tick: Tick) -> None:
        target = self._at(path)
        # A bucket shows an object when it is whole; a folder shows a file from its first byte on.
        local = self.place.scheme == "pvc"
        written = f"{posixpath.dirname(target)}/.{secrets.token_hex(4)}.part" if local else target
        with self._asking(f"writing {path}"):
            if local:
                self._files.create_dir(posixpath.dirname(target), recursive=True)
            whole = False
            try:
                with self._files.open_output_stream(written, compression=None) as stream:
                    for chunk in chunks:
                        stream.write(chunk)
                        tick(len(chunk))
                    whole = True
            finally:
                if not whole:
                    self._drop(written)
            if local:
                Path(written).replace(target)

    def _drop(self, target: str) -> None:
        try:
            self._files.delete_file(target)
        except OSError:  # it never came to be, or the store is away: without a marker nobody serves it
            return

    def _size(self, path: str) -> int | None:
        from pyarrow.fs import FileType

        info = self._files.get_file_info([self._at(path)])[0]
        return int(info.size) if info.type is FileType.File else None

    def _at(self, path: str) -> str:
        root = self._options.folder.rstrip("/") if self.place.scheme == "pvc" else self.place.bucket
        return "/".join(part for part in (root, self.place.prefix, path) if part)

    @property
    def _files(self) -> Any:
        if self._made is None:
            self._made = _file_system(self.place, self._options)
        return self._made

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._translated(error, doing) from error

    def _translated(self, error: OSError, doing: str) -> DecantError:
        words = without_secrets(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
        found = _AWS.search(str(error))
        code = found[1] if found else ""
        if code in _REFUSED or isinstance(error, PermissionError) or "PERMISSION_DENIED" in words or "401" in words:
            return Rejected(PART, 403, f"it refused {doing} in {self.uri}.", self._rights)
        if code in _ABSENT or "NoSuchBucket" in words:
            return self._no_bucket()
        if isinstance(error, FileNotFoundError):
            return NotFound("file in the model store", f"{self.uri}: {words}")
        where = self._options.endpoint or self.uri
        if code in _SILENT or "UNAVAILABLE" in words or "Could not connect" in words or "Couldn't" in words:
            detail = "nothing listens there" if "onnect" in words else _brief(found[3] if found else words)
            return Unavailable(PART, f"{without_secrets(where)}: {detail}", self._hint)
        return Rejected(PART, 500, f"{doing} in {self.uri} failed: {_brief(found[3] if found else words)}")

    def _no_bucket(self) -> NotFound:
        error = NotFound("bucket", f"{self.place.scheme}://{self.place.bucket}")
        error.hint = "Make it, or name another in DECANT_MODEL_STORE."
        return error

    def _not_mounted(self) -> NotFound:
        error = NotFound("folder", self._options.folder)
        error.hint = f"Set DECANT_MODEL_STORE_PATH to where the volume {self.place.bucket} is mounted for Decant."
        return error

    @property
    def _rights(self) -> str:
        if self.place.scheme == "pvc":
            return f"Let Decant write to {self._options.folder}."
        names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if self.place.scheme == "gs":
            names = "GOOGLE_APPLICATION_CREDENTIALS"
        return f"Check {names}: Decant lists, reads and writes there."

    @property
    def _hint(self) -> str:
        return "Is it up? Its address comes from DECANT_MODEL_STORE_ENDPOINT, or is that of the provider."


def _file_system(place: StorePlace, options: StoreOptions) -> Any:
    """pyarrow's file system for the place. Raises InvalidInput for an endpoint that is no address."""
    from pyarrow import fs

    if place.scheme == "pvc":
        return fs.LocalFileSystem()
    reached = {}
    if options.endpoint:
        parts = urlsplit(options.endpoint if "://" in options.endpoint else f"https://{options.endpoint}")
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
            raise InvalidInput(
                f"“{without_secrets(options.endpoint)}” is not the address of a store.",
                "Write DECANT_MODEL_STORE_ENDPOINT=https://host:port, without user or password.",
            )
        reached = {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    if place.scheme == "gs":
        anonymous = bool(options.endpoint)  # a stand-in: Google's own needs no address
        return fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=timedelta(seconds=REQUEST_TIMEOUT_S), **reached)
    return fs.S3FileSystem(
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        tls_ca_file_path=options.ca or None,
        allow_delayed_open=True,  # small files in one request
        background_writes=False,  # so that progress is what the store has taken
        **reached,
    )


def _brief(words: str) -> str:
    lines = without_secrets(words).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else "no reason given"
