"""Where the Prometheus program comes from.

Prometheus is not on PyPI, and a newcomer should not have to install a service. So: a given path, one on the PATH,
one that was unpacked before, Debian's package unpacked (never installed) into the state folder, or the official
archive with a pinned checksum. Whoever loses all five gets told the three ways out.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from services.errors import InvalidInput, StartFailed
from services.settings import Settings

log = logging.getLogger(__name__)

PROGRAM = "prometheus"
APT_TIMEOUT_S = 180
DOWNLOAD_TIMEOUT_S = 60  # for one read, not for the whole archive
VERSION_TIMEOUT_S = 20
WAYS_OUT = (
    "Install Prometheus so that it is on the PATH (`apt install prometheus`, `brew install prometheus`), "
    "or set DECANT_PROMETHEUS_BIN to the path of a prometheus program, "
    "or set DECANT_PROMETHEUS_URL to a server that already runs."
)


@dataclass(frozen=True, slots=True)
class Archive:
    """An official release archive and the SHA-256 it must have, as lower-case hex."""

    url: str
    sha256: str


_RELEASE = "2.53.1"
_RELEASE_URL = f"https://github.com/prometheus/prometheus/releases/download/v{_RELEASE}/prometheus-{_RELEASE}"
# Only platforms whose checksum two independent sources agree on. macOS is not among them: there it is Homebrew's.
ARCHIVES = {
    "linux-amd64": Archive(
        f"{_RELEASE_URL}.linux-amd64.tar.gz", "2234aa0f66d9f9b854144f6faaaed72a316df7a680d9dad7cb48e49a6fa5332c"
    ),
    "linux-arm64": Archive(
        f"{_RELEASE_URL}.linux-arm64.tar.gz", "a7f28c83c3c943b953a9d00860bd3f2422464fb7c27a3c4037ef1ce2a41592b5"
    ),
}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class _NotThisWay(Exception):
    """One of the ways did not work; its words go into the final error."""


def find_or_fetch(settings: Settings, on_progress: Callable[[str], None] = log.info) -> Path:
    """Return a Prometheus program that runs, fetching one into the state folder if need be.

    Safe to call from several processes at once. Calls `on_progress` with a sentence before anything slow.

    Raises:
        InvalidInput: if DECANT_PROMETHEUS_BIN names something that is not a Prometheus program.
        StartFailed: if there is none and none could be fetched; names each way tried and the ways out.
    """
    if settings.prometheus_bin:
        return _given(settings.prometheus_bin)
    found = shutil.which(PROGRAM)
    if found and _runs(Path(found)):
        return Path(found)
    folder = settings.paths.bin
    unpacked = folder / PROGRAM
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".prometheus.lock"):
        if _runs(unpacked):
            return unpacked
        tried = []
        for way in (unpack_debian_package, _unpack_official_archive):
            try:
                return way(folder, on_progress)
            except _NotThisWay as failure:
                tried.append(str(failure))
    raise StartFailed("Prometheus", "no program was found and none could be fetched", tried, WAYS_OUT)


def _given(path: str) -> Path:
    program = Path(path).expanduser()
    if not program.is_file():
        raise InvalidInput(f"DECANT_PROMETHEUS_BIN is {path}, which is not a file.", WAYS_OUT)
    if not _runs(program):
        raise InvalidInput(f"DECANT_PROMETHEUS_BIN is {path}, which does not run as Prometheus here.", WAYS_OUT)
    return program.resolve()


def _runs(program: Path) -> bool:
    """Whether it is a program of that name that this machine can run (right format, right architecture)."""
    if not program.is_file() or not os.access(program, os.X_OK):
        return False
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # Old releases print the version to stderr.
    return answer.returncode == 0 and "prometheus" in (answer.stdout + answer.stderr).lower()


def unpack_debian_package(folder: Path, on_progress: Callable[[str], None] = log.info) -> Path:
    """Unpack Debian's package into `folder` without installing anything. Needs no root unless the lists are empty."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise _NotThisWay("Debian's package: this machine has no apt-get and dpkg")
    on_progress("Fetching Debian's Prometheus package (about 20 MB); it is unpacked, not installed.")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        # apt drops to the user _apt while it downloads, who has to write here.
        Path(work).chmod(0o777)
        problem = _apt_get(["download", PROGRAM], work)
        if problem and os.geteuid() == 0:
            problem = _apt_get(["update"], work) or _apt_get(["download", PROGRAM], work)
        packages = list(Path(work).glob("prometheus_*.deb"))
        if problem or not packages:
            raise _NotThisWay(f"Debian's package: {problem or 'apt-get left no package'}")
        unpacked = Path(work) / "unpacked"
        done = subprocess.run(
            ["dpkg", "-x", packages[0], unpacked], capture_output=True, text=True, timeout=APT_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise _NotThisWay(f"Debian's package: {_last_line(done.stderr)}")
        return _install(unpacked / "usr" / "bin", folder, "Debian's package")


def _apt_get(arguments: list[str], folder: str) -> str:
    """Run apt-get in `folder`; the empty string when it went well, else its last words."""
    try:
        done = subprocess.run(
            ["apt-get", "-q", *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took longer than {APT_TIMEOUT_S} s"
    return "" if done.returncode == 0 else _last_line(done.stderr)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"


def _unpack_official_archive(folder: Path, on_progress: Callable[[str], None]) -> Path:
    name = f"{platform.system().lower()}-{_MACHINES.get(platform.machine().lower(), platform.machine())}"
    if name not in ARCHIVES:
        raise _NotThisWay(f"the official archive: Decant knows no checksum for {name}")
    on_progress(f"Fetching the official Prometheus {_RELEASE} archive for {name} (about 100 MB).")
    return unpack_archive(ARCHIVES[name], folder)


def unpack_archive(archive: Archive, folder: Path) -> Path:
    """Download, check and unpack a release archive; nothing of it is kept or run unless the checksum is right."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        file = Path(work) / "archive.tar.gz"
        digest = _download(archive.url, file)
        if digest != archive.sha256:
            wrong = f"its SHA-256 is {digest}, not {archive.sha256}"
            raise _NotThisWay(f"the official archive: {wrong}; it was thrown away")
        try:
            with tarfile.open(file) as packed:
                packed.extractall(work, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise _NotThisWay(f"the official archive: {error}") from error
        programs = [path for path in Path(work).glob(f"*/{PROGRAM}") if path.is_file()]
        if not programs:
            raise _NotThisWay("the official archive: it holds no prometheus program")
        return _install(programs[0].parent, folder, "the official archive")


def _download(url: str, file: Path) -> str:
    """Write what `url` answers to `file`; return its SHA-256."""
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as answer, file.open("wb") as out:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                out.write(chunk)
    except (urllib.error.URLError, OSError) as error:
        raise _NotThisWay(f"the official archive: {getattr(error, 'reason', error)}") from error
    return digest.hexdigest()


def _install(source: Path, folder: Path, origin: str) -> Path:
    """Move the programs into `folder`, the one that counts last and at once, so that a killed fetch leaves none."""
    if not _runs(source / PROGRAM):
        raise _NotThisWay(f"{origin}: its program does not run on this machine")
    promtool = source / "promtool"
    if promtool.is_file():
        promtool.replace(folder / "promtool")
    target = folder / PROGRAM
    (source / PROGRAM).replace(target)
    return target
