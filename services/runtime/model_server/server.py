"""The life of a model server: bind the port, load the model, serve, drain.

granian runs embedded, in this process and on this event loop: its usual mode forks a worker, and a second process
would cost memory for nothing. Its Rust thread reads and writes sockets; this thread runs the handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server as GranianServer

from services.errors import DecantError, StartFailed
from services.runtime.model_server.door import Door
from services.runtime.model_server.instruments import Instruments
from services.runtime.model_server.options import ServerOptions
from services.runtime.model_server.worker import WorkerThread

log = logging.getLogger(__name__)

_BACKLOG = 1024
_QUIET_S = 0.1  # without a request for this long, a stopping server is drained
_POLL_S = 0.02
_LAST_ANSWERS_S = 2.0  # for requests that came in while the listener closed


class ModelServer:
    """One run of the server."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._instruments = Instruments(options)
        self._door = Door(self._instruments, options.max_body_bytes)
        self._stop = asyncio.Event()
        self._batcher: Any = None
        self._desk: Any = None
        self._deadline = 0.0  # when a drain is over

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code. Raises StartFailed if the port or the model is no good."""
        options = self._options
        check_port(options.port)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        transport: Any = GranianServer(
            self._door,
            address="127.0.0.1",
            port=options.port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            log_enabled=False,
        )
        serving = asyncio.ensure_future(transport.serve())
        log.info("Listening on 127.0.0.1:%d; loading %s", options.port, options.model_uri)
        try:
            await self._load(WorkerThread(loop), serving)
            await self._until_stopped(serving)
        finally:
            transport.stop()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.wait([serving]), _LAST_ANSWERS_S)
            await self._last_answers()
        if self._desk is not None:
            await self._desk.close()
        return 0

    async def _load(self, worker: WorkerThread, serving: asyncio.Future[Any]) -> None:
        started = time.perf_counter()
        loading = worker.call(lambda: _load(self._options))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([loading, stopping, serving], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            raise StartFailed("The model server", f"port {self._options.port} cannot be served")
        if not loading.done():
            return  # told to stop while loading
        model = loading.result()
        from services.runtime.model_server.batching import Batcher
        from services.runtime.model_server.dataplane import Dataplane
        from services.runtime.model_server.feedback import FeedbackDesk
        from services.runtime.model_server.rehearsal import rehearse

        instruments = self._instruments
        batcher = Batcher(model, worker, batch_rows=self._options.batch_rows, observe=instruments.batch_rows.observe)
        if await worker.call(lambda: rehearse(batcher.merger, model.examples)):
            batcher.trust()
        instruments.watch(batcher)
        self._batcher = batcher
        self._desk = FeedbackDesk(self._options, instruments)
        self._door.plane = Dataplane(self._options, model, batcher, self._desk, instruments)
        log.info(
            "Ready: predictor %s of %s/%s serves %s (%s) on port %d after %.1f s",
            self._options.predictor,
            self._options.namespace,
            self._options.deployment,
            self._options.model_uri,
            model.flavour,
            self._options.port,
            time.perf_counter() - started,
        )

    async def _until_stopped(self, serving: asyncio.Future[Any]) -> None:
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            raise StartFailed("The model server", "its HTTP server ended by itself")
        await self._drain()

    async def _drain(self) -> None:
        """Answer what is under way, with `connection: close`, until it is quiet or `drain_s` is over."""
        door = self._door
        door.draining = True
        deadline = self._deadline = time.monotonic() + self._options.drain_s
        quiet_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - quiet_since < _QUIET_S:
            if door.in_flight:
                quiet_since = time.monotonic()
            await asyncio.sleep(_POLL_S)

    async def _last_answers(self) -> None:
        """The listener is closed; answer what it still let in, and tell those who wait for a slow model."""
        door = self._door
        slow = door.draining and time.monotonic() >= self._deadline and door.in_flight
        if slow and self._batcher is not None:
            self._batcher.abandon("the server is stopping")
        deadline = time.monotonic() + _LAST_ANSWERS_S
        while door.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
        await asyncio.sleep(_POLL_S)  # for granian's thread to write them
        log.info("Stopped%s", f"; {slow} requests outlived the drain" if slow else "; every request was answered")


def _load(options: ServerOptions) -> Any:
    """Import MLflow and the model. Runs in the model's thread, as the imports alone take seconds."""
    from services.runtime.model_server import dataplane  # noqa: F401 - so that the event loop need not wait for it
    from services.runtime.model_server.loading import load_model

    log.info("Libraries are imported; fetching the model")  # services.deployments.local_start looks for these
    return load_model(options)


def check_port(port: int) -> None:
    """Raise StartFailed if somebody listens there: granian shares ports (SO_REUSEPORT) without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StartFailed("The model server", f"port {port} is taken") from error


def serve(options: ServerOptions) -> int:
    """Run a server; the exit code. Failures are one line in the log."""

    async def run() -> int:
        return await ModelServer(options).run()

    log.info("Starting the model server of predictor %s", options.predictor)
    try:
        return asyncio.run(run())
    except DecantError as error:
        log.error("%s", error)
        return error.exit_code
