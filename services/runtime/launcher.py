"""Starting and stopping a whole installation: `up`, `down`, `status`. With Kubernetes it is the pages and their helpers
alone: what serves models is the cluster's.

`up` stays in the foreground as the parent of supervisord and starts it again should it be killed. One state folder
is used by one `up` at a time (`ownership.py`). How long a start may take is said here and nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

from services.errors import DecantError, StartFailed
from services.files import tail_lines, write_atomically
from services.runtime import prometheus, tether
from services.runtime.controller.status import heartbeat_path
from services.runtime.envoy.files import EnvoyFiles
from services.runtime.ownership import running, sole_owner, tell
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
DOWN_TIMEOUT_S = STOP_TIMEOUT_S + 15.0  # an `up` that stops in order needs the first of them
POLL_S = 0.1
BACKGROUND = "up"
"""The name under which an `up` in the background is known, from before it holds the state folder."""
BEATING_PARTS = ("controller", "worker")
RESTART_PAUSE_S = 1.0
Progress = Callable[[str], None]


class _Stop(Exception):
    """Somebody asked `up` to end."""


def up(settings: Settings, on_progress: Progress, prepare: Callable[[], object] = lambda: None) -> int:
    """Start everything, say where it is, and stay until asked to stop. Returns 0 after a clean stop.

    `prepare` is called before anything is started, once the state folder is ours.

    Raises:
        AlreadyRunning: another `up` holds this state folder.
        PortTaken: somebody else listens on a port that is needed.
        StartFailed: a part did not come up; carries its last log lines.
    """
    settings.paths.root.mkdir(parents=True, exist_ok=True)
    with sole_owner(settings), _stop_signals(), contextlib.suppress(_Stop):
        prepare()
        settings.paths.create()
        try:
            _serve(settings, on_progress)
        finally:
            tether.end(tether.leftovers(settings.paths.root))
            on_progress("stopped")
    return 0


def down(settings: Settings, on_progress: Progress) -> bool:
    """End a running `up`, also one that is still starting, and everything it started. False if nothing ran."""
    found = _ups(settings)
    present = running(settings)
    if found and not (present and present.ready):
        on_progress("Decant is still starting; calling the start off ...")
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while (left := found & _ups(settings)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    _signal(left, signal.SIGKILL)
    rest = tether.leftovers(settings.paths.root)
    tether.end(rest)
    return bool(found or rest)


def _ups(settings: Settings) -> set[int]:
    """Every `up` of the state folder: the one that holds it, and one in the background that is on its way there."""
    found = {process.pid for process in tether.leftovers(settings.paths.root, BACKGROUND)}
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while (present := running(settings)) and not present.pid and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found | ({present.pid} if present and present.pid else set())


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _serve(settings: Settings, on_progress: Progress) -> None:
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
            tell(settings, ready=True)
            on_progress(f"Decant is ready: {settings.dashboard_url}" if first else "everything runs again")
            client = SupervisorClient(socket_path(settings.paths.supervisor_socket))
            code = wait_and_revive(supervisord, client, [p.program.name for p in fixed], on_progress)
        except BaseException:
            on_progress("stopping ...")
            _end_supervisord(supervisord)
            raise
        first = False
        tell(settings, ready=False)
        on_progress(f"the supervisor ended unexpectedly ({exit_words(code)}); starting everything again")
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
    environment.pop(tether.PART_VARIABLE, None)
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
        raise StartFailed("The supervisor", f"it ended at once ({exit_words(code)})", lines)
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


def exit_words(code: int) -> str:
    """How a process ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _silent(_text: str) -> None:
    """Progress that nobody reads."""
