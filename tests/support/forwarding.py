"""An event loop in a thread, and TCP ports in it that lead to a port of this machine's loopback, from another host."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.support.network_host import NetworkHost

T = TypeVar("T")

CALL_TIMEOUT_S = 15


class Background:
    """An event loop that runs in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def stop(self) -> None:
        self.call(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


@dataclass(frozen=True)
class Forwarder:
    """Whoever connects to `address` and `port` talks to a server of this machine."""

    address: str
    port: int
    server: asyncio.Server

    @classmethod
    async def open(cls, to_port: int, host: NetworkHost | None) -> Forwarder:
        """Lead to `to_port` from a free port on `host`; None: on loopback."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                theirs, ours = await asyncio.open_connection("127.0.0.1", to_port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))

        listening = _listening(host)
        address, port = listening.getsockname()
        return cls(address, port, await asyncio.start_server(serve, sock=listening))

    async def close(self) -> None:
        self.server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _listening(host: NetworkHost | None) -> socket.socket:
    """A socket belongs to the host of the thread that made it, whoever serves it."""
    made: list[socket.socket] = []

    def make() -> None:
        if host is not None:
            host.enter()
        made.append(socket.create_server((host.address if host else "127.0.0.1", 0)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join(timeout=10)
    return made[0]
