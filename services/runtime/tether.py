"""Start a part so that it can never outlive its parent or run twice.

Supervisord starts every part through this module. A part that is killed may leave children behind, and a supervisord
that is killed leaves all of them; both would hold ports and files that the next start needs. So before a part
starts, whatever still runs under its name is ended, and the kernel is told to end the part when its parent dies.

Usage: python -m services.runtime.tether PART -- COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

INSTANCE_VARIABLE = "DECANT_INSTANCE"
PART_VARIABLE = "DECANT_PART"
_PR_SET_PDEATHSIG = 1
TERM_GRACE_S = 3.0


def die_with_parent(sig: signal.Signals = signal.SIGTERM) -> None:
    """Ask Linux to signal this process when its parent ends. Elsewhere `end_leftovers` at the next start must do."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    if os.getppid() != parent:  # it died while we asked
        os.kill(os.getpid(), sig)


def leftovers(instance: Path, part: str | None = None) -> list[psutil.Process]:
    """Live processes started for `instance` (a state folder), or for one `part` of it, except us and our ancestors."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            environment = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        mine = environment.get(INSTANCE_VARIABLE) == str(instance)
        if alive and mine and part in (None, environment.get(PART_VARIABLE)):
            found.append(process)
    return found


def end(processes: list[psutil.Process], grace_s: float = TERM_GRACE_S) -> None:
    """TERM, then KILL what is still there after `grace_s` seconds."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=grace_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=grace_s)


def _signal(process: psutil.Process, sig: signal.Signals) -> None:
    try:
        process.send_signal(sig)
    except psutil.NoSuchProcess:
        return


def main(arguments: list[str]) -> None:
    """Become COMMAND, alone under the name PART."""
    part, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: python -m services.runtime.tether PART -- COMMAND [ARGUMENT ...]")
    end(leftovers(Path(os.environ[INSTANCE_VARIABLE]), part))
    os.environ[PART_VARIABLE] = part
    die_with_parent()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
