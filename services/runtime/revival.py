"""Fixed parts that supervisord has given up on, started again.

Supervisord stops trying after some failed starts in a row. What made them fail may pass by itself (a full disk, a
locked database), so no part stays down for good while `up` runs.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterable

from services.errors import DecantError
from services.runtime.controller.observe import RetryClock
from services.runtime.supervisor.client import SupervisorClient

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


def wait_and_revive(
    supervisord: subprocess.Popen[bytes],
    client: SupervisorClient,
    programs: Iterable[str],
    on_progress: Callable[[str], None],
) -> int:
    """Wait until supervisord ends, and meanwhile start given-up `programs` again. Returns its exit code."""
    watched = list(programs)
    clock = RetryClock()
    while True:
        try:
            return supervisord.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            revive(client, watched, clock, on_progress)
        except DecantError as error:
            log.info("supervisord could not be asked: %s", error)


def revive(
    client: SupervisorClient, programs: Iterable[str], clock: RetryClock, on_progress: Callable[[str], None]
) -> None:
    """One look: start what is FATAL and due."""
    processes = client.processes()
    watched = [p for p in programs if p in processes]
    clock.forget({p: processes[p].state == "RUNNING" for p in watched})
    for program in watched:
        if processes[program].state == "FATAL" and clock.due(program):
            on_progress(f"{program} had ended several times in a row; starting it again (see its log)")
            client.start(program)
