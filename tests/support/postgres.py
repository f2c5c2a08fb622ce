"""A PostgreSQL of a test's own, on a free port of loopback, where the programs and the driver are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import free_port

OWNER = "postgres"
"""PostgreSQL refuses to run as root; its Debian package makes this user."""


def missing() -> str:
    """What keeps a PostgreSQL from being started here; empty if nothing does."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    return "" if _programs() else "PostgreSQL is not installed"


@contextmanager
def postgres() -> Iterator[str]:
    """Start an empty one, yield its URL, stop it and remove it."""
    programs, port = _programs(), free_port()
    assert programs is not None
    as_owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    # Not in pytest's folder: that is its user's own, and the owner of the server may be another.
    folder = Path(tempfile.mkdtemp(prefix="decant-postgres-"))
    if as_owner:
        shutil.chown(folder, OWNER)

    def run(program: str, *arguments: str) -> None:
        command = [*as_owner, str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    try:
        run("initdb", "-A", "trust", "-U", "decant", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://decant@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """The folder with initdb and postgres: Debian keeps them off the path."""
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)
