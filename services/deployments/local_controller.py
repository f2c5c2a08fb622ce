"""The controller process of the local engine: `python -m services.deployments.local_controller`.

It wakes when a manifest changes, and every second or so to see whether what runs is still what is wanted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from watchfiles import watch

from services.deployments.desired import DesiredStore, render
from services.deployments.manifest import from_yaml
from services.errors import DecantError
from services.runtime.controller.journal import Wanted
from services.runtime.controller.reconcile import Controller
from services.runtime.controller.status import StatusBook, beat
from services.settings import Settings, load_settings

log = logging.getLogger(__name__)

SETTLED_PAUSE_S = 1.0
STEP_PAUSE_S = 0.05
TROUBLE_PAUSE_S = 0.5
WATCH_DEBOUNCE_MS, WATCH_STEP_MS = 10, 5


def read_desired(store: DesiredStore, records: StatusBook) -> list[Wanted]:
    """Every deployment that shall run.

    A manifest that was spoiled by hand is not a wish to delete: the last good one stays, with the problem beside it.
    """
    found = [Wanted(d.deployment, d.version, render(d)) for d in store.all()]
    for (namespace, name), problem in store.broken().items():
        record = records.read(namespace, name)
        if record is not None and not record.deleting:
            found.append(Wanted(from_yaml(record.manifest), record.version, record.manifest, problem))
    return found


def run(settings: Settings, stop: threading.Event) -> None:
    """Reconcile until told to stop."""
    settings.paths.create()
    store, records = DesiredStore(settings.paths.desired), StatusBook(settings.paths)
    controller = Controller(settings, lambda: read_desired(store, records))
    woken = threading.Event()
    threading.Thread(target=_watch, args=(settings.paths.desired, woken, stop), daemon=True).start()
    while not stop.is_set():
        woken.clear()
        pause_s = _pass(controller, settings)
        woken.wait(pause_s)


def _pass(controller: Controller, settings: Settings) -> float:
    """One pass; seconds to wait before the next."""
    try:
        beat(settings.paths, "controller", os.getpid())
        settled = controller.step()
    except (DecantError, OSError) as error:  # OSError: a full disk, say; the next pass finds things as they are
        log.warning("this pass was cut short: %s", error)
        return TROUBLE_PAUSE_S
    return SETTLED_PAUSE_S if settled else STEP_PAUSE_S


def _watch(folder: Path, woken: threading.Event, stop: threading.Event) -> None:
    for _ in watch(folder, stop_event=stop, debounce=WATCH_DEBOUNCE_MS, step=WATCH_STEP_MS, watch_filter=_is_manifest):
        woken.set()


def _is_manifest(_change: object, path: str) -> bool:
    return path.endswith(".yaml")


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it reports every change
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(load_settings(), stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
