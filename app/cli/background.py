"""`up --background`: a start that is watched until it is ready, and goes on without this terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.output import say
from services.errors import StartFailed
from services.files import tail_lines

if TYPE_CHECKING:
    from services.settings import Settings

POLL_S = 0.2
LOG_TAIL = 15


def start_in_background(chosen: Settings) -> None:
    """Make sure that everything runs and is ready; the output of a start goes to log/up.log in the state folder.

    How long that may take is the start's own business: it ends by itself when its time is over. Whoever stops waiting
    for it (Ctrl-C, SIGTERM) ends it.

    Raises:
        StartFailed: if it ends before everything is ready; carries the last lines of that log.
    """
    from services.runtime import ownership

    if ownership.running(chosen) is not None:
        _wait_until_ready(chosen, None)
        say(f"Decant is running: {chosen.dashboard_url}")
        return
    say(f"Starting Decant in the background (log: {_log(chosen)}) ...")
    process = _start(chosen)
    with _called_off(process):
        _wait_until_ready(chosen, process)
    say(f"Decant is ready: {chosen.dashboard_url}")


def _start(chosen: Settings) -> subprocess.Popen[bytes]:
    from services.runtime import launcher, tether

    chosen.paths.log.mkdir(parents=True, exist_ok=True)
    # By these names `down` finds it before it holds the state folder.
    names = {tether.INSTANCE_VARIABLE: str(chosen.paths.root), tether.PART_VARIABLE: launcher.BACKGROUND}
    with _log(chosen).open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **names, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl-C in this terminal is not for it
        )


def _wait_until_ready(chosen: Settings, process: subprocess.Popen[bytes] | None) -> None:
    """Wait for the start that is ours (`process`), or for somebody else's."""
    from services.runtime import launcher, ownership

    while True:
        present = ownership.running(chosen)
        if present is not None and present.ready:
            return
        if process is None and present is None:
            raise StartFailed("Decant", "the start that was under way has ended", _log_tail(chosen))
        if process is not None and (code := process.poll()) is not None:
            if ownership.running(chosen) is None:
                why = "it was stopped before it was ready" if code == 0 else f"it ended ({launcher.exit_words(code)})"
                raise StartFailed("Decant", why, _log_tail(chosen))
            process = None  # somebody else was quicker
        time.sleep(POLL_S)


@contextmanager
def _called_off(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the start if the block is left before its end."""
    from services.runtime import launcher

    before = {n: signal.signal(n, signal.default_int_handler) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except BaseException:
        if process.poll() is None:
            say("Calling the start off ...")
            process.terminate()
            try:
                process.wait(launcher.DOWN_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_tail(chosen: Settings) -> list[str]:
    return tail_lines(_log(chosen), LOG_TAIL)


def _log(chosen: Settings) -> Path:
    return chosen.paths.log / "up.log"
