"""Starting and stopping a whole installation: `up`, `down`, `status`. With Kubernetes it is the pages and their helpers
alone: what serves models is the cluster's.

`up` stays in the foreground as the parent of supervisord and starts it again should it be killed. One state folder
is used by one `up` at a time; a file lock, which the kernel drops when its holder dies, sees to that.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil
from filelock import FileLock, Timeout

from services.errors import AlreadyRunning, DecantError, StartFailed
from services.files import read_text, tail_lines, write_atomically
from services.runtime import prometheus, tether
from services.runtime.controller.status import heartbeat_path
from services.runtime.envoy.files import EnvoyFiles
from services.runtime.parts import Part, page_answers, parts
from services.runtime.ports import check_ports
from services.runtime.prometheus_binary import find_or_fetch
from services.runtime.revival import wait_and_revive
from services.runtime.sockets import socket_path
from services.runtime.supervisor.client import SupervisorClient
from services.runtime.supervisor.config import conf_folder, log_path, supervisord_config
from services.settings import ROOT, Settings

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 240.0  # a first start on a busy machine makes MLflow's database
STOP_TIMEOUT_S = 30.0
POLL_S = 0.1
BEATING_PARTS = ("controller", "worker")
RESTART_PAUSE_S = 1.0
LOCK_PATIENCE_S = 1.0
"""`running` holds the lock for an instant to see whether it is free: that must not look like another `up`."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """The `up` that holds the state folder."""

    pid: int
    address: str


class _Stop(Exception):
    """Somebody asked `up` to end."""


def up(settings: Settings, on_progress: Progress) -> int:
    """Start everything, say where it is, and stay until asked to stop. Returns 0 after a clean stop.

    Raises:
        AlreadyRunning: another `up` holds this state folder.
        PortTaken: somebody else listens on a port that is needed.
        StartFailed: a part did not come up; carries its last log lines.
    """
    settings.paths.create()
    with sole_owner(settings), _stop_signals():
        try:
            return _serve(settings, on_progress)
        except _Stop:
            return 0
        finally:
            tether.end(tether.leftovers(settings.paths.root))
            on_progress("stopped")


def down(settings: Settings) -> bool:
    """End a running `up` and everything it started. Returns False if nothing ran."""
    present = running(settings)
    if present is not None:
        os.kill(present.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while running(settings) is not None and time.monotonic() < deadline:
            time.sleep(POLL_S)
    left = tether.leftovers(settings.paths.root)
    tether.end(left)
    return present is not None or bool(left)


def running(settings: Settings) -> Running | None:
    """Who holds the state folder now, if anybody."""
    lock = FileLock(_lock_path(settings))
    if not _lock_path(settings).exists():
        return None
    try:
        with lock.acquire(timeout=0):
            return None
    except Timeout:
        pass
    try:
        data = json.loads(read_text(_info_path(settings)) or "")
        return Running(int(data["pid"]), str(data["address"]))
    except (ValueError, KeyError):
        return None  # it is just starting


def _serve(settings: Settings, on_progress: Progress) -> int:
    tether.end(tether.leftovers(settings.paths.root))
    binary = find_or_fetch(settings, on_progress) if settings.runs_prometheus else None
    fixed = parts(settings, binary)
    check_ports(settings, fixed)
    if settings.runs_locally:
        prometheus.prepare(settings)
        EnvoyFiles(settings).prepare()
    conf_folder(settings.paths).mkdir(parents=True, exist_ok=True)
    config_file = settings.paths.supervisor / "supervisord.conf"
    write_atomically(config_file, supervisord_config([p.program for p in fixed], settings.paths))
    first = True
    while True:
        supervisord = _start_supervisord(settings, config_file)
        try:
            _wait_until_ready(settings, fixed, supervisord, on_progress if first else _silent)
            on_progress(f"Decant is ready: {settings.dashboard_url}" if first else "everything runs again")
            client = SupervisorClient(socket_path(settings.paths.supervisor_socket))
            code = wait_and_revive(supervisord, client, [p.program.name for p in fixed], on_progress)
        except BaseException:
            on_progress("stopping ...")
            _end_supervisord(supervisord)
            raise
        first = False
        on_progress(f"the supervisor ended unexpectedly ({_exit_words(code)}); starting everything again")
        tether.end(tether.leftovers(settings.paths.root))
        time.sleep(RESTART_PAUSE_S)


def _end_supervisord(supervisord: subprocess.Popen[bytes]) -> None:
    """Let it stop its programs in order; whatever does not end is killed afterwards by name."""
    supervisord.terminate()
    try:
        supervisord.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        supervisord.kill()


def _start_supervisord(settings: Settings, config_file: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, tether.INSTANCE_VARIABLE: str(settings.paths.root), "PYTHONPATH": str(ROOT)}
    environment["DECANT_STATE_DIR"] = str(settings.paths.root)
    # Every part is started again and again over the months; compiling it each time would double its start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    socket_path(settings.paths.supervisor_socket).unlink(missing_ok=True)
    for part in BEATING_PARTS:  # the last sign of life of an earlier run says nothing about this one
        heartbeat_path(settings.paths, part).unlink(missing_ok=True)
    with (settings.paths.log / "supervisord.out").open("ab") as output:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "services.runtime.tether", "supervisord", "--"),
                *(sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config_file)),
            ],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the rest in order
        )


def _wait_until_ready(
    settings: Settings, fixed: list[Part], supervisord: subprocess.Popen[bytes], on_progress: Progress
) -> None:
    client = SupervisorClient(socket_path(settings.paths.supervisor_socket))
    waiting = list(fixed)
    started = time.monotonic()
    while waiting:
        for part in list(waiting):
            if part.answers():
                waiting.remove(part)
                on_progress(f"{part.label} is up ({time.monotonic() - started:.1f} s)")
        _check_alive(settings, waiting, client, supervisord)
        if time.monotonic() - started > READY_TIMEOUT_S and waiting:
            raise _not_ready(settings, waiting[0], f"it did not answer within {READY_TIMEOUT_S:g} s")
        time.sleep(POLL_S)
    if not page_answers(settings):
        dashboard = next(part for part in fixed if part.label == "dashboard")
        raise _not_ready(settings, dashboard, "its first page does not render")


def _check_alive(
    settings: Settings, waiting: list[Part], client: SupervisorClient, supervisord: subprocess.Popen[bytes]
) -> None:
    if (code := supervisord.poll()) is not None:
        lines = tail_lines(settings.paths.log / "supervisord.out", 10)
        raise StartFailed("The supervisor", f"it ended at once ({_exit_words(code)})", lines)
    try:
        processes = client.processes()
    except DecantError:
        return  # not listening yet
    for part in waiting:
        info = processes.get(part.program.name)
        if info is not None and info.state == "FATAL":
            raise _not_ready(settings, part, info.problem or "it ended several times in a row")


def _not_ready(settings: Settings, part: Part, reason: str) -> StartFailed:
    file = log_path(settings.paths, part.program.name)
    label = part.label[0].upper() + part.label[1:]
    return StartFailed(f"The {label}" if part.label.islower() else label, reason, tail_lines(file, 12), f"See {file}.")


@contextmanager
def sole_owner(settings: Settings) -> Iterator[None]:
    """Hold the state folder, and say so to `running`. Raises AlreadyRunning."""
    lock = FileLock(_lock_path(settings))
    try:
        lock.acquire(timeout=LOCK_PATIENCE_S)
    except Timeout as error:
        present = running(settings)
        address = present.address if present else settings.dashboard_url
        raise AlreadyRunning(str(settings.paths.root), address, present.pid if present else 0) from error
    try:
        info = {"pid": os.getpid(), "address": settings.dashboard_url}
        write_atomically(_info_path(settings), json.dumps(info))
        yield
    finally:
        _info_path(settings).unlink(missing_ok=True)
        lock.release()


@contextmanager
def _stop_signals() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        raise _Stop

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def resident_mb(settings: Settings) -> dict[str, float]:
    """Resident memory by part in MiB (shared pages counted once per process)."""
    found: dict[str, float] = {}
    for process in tether.leftovers(settings.paths.root):
        try:
            part = process.environ().get(tether.PART_VARIABLE, "supervisord")
            found[part] = found.get(part, 0.0) + process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return found


def _lock_path(settings: Settings) -> Path:
    return settings.paths.root / "up.lock"


def _info_path(settings: Settings) -> Path:
    return settings.paths.root / "up.json"


def _exit_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _silent(_text: str) -> None:
    """Progress that nobody reads."""
