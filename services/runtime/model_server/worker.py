"""The one thread in which a model is loaded and called.

Some libraries want to be used from the thread that loaded them, and none needs two. The thread is a daemon: a predict
call that never returns must not keep a stopped server alive.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class WorkerThread:
    """Runs callables in order; each result is handed to its callback on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def run(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """`work` must not raise; see `call` for work that may."""
        self._work.put(lambda: self._hand_over(done, work()))

    def call(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """A future with the result, or the exception, of `work`."""
        future: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - handed on to whoever awaits, whatever it is
                self._hand_over(_set_exception, (future, error))
            else:
                self._hand_over(_set_result, (future, result))

        self._work.put(run)
        return future

    def _hand_over(self, done: Callable[[T], None], result: T) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(done, result)

    def _run(self) -> None:
        while True:
            self._work.get()()


def _set_result(pair: tuple[asyncio.Future[T], T]) -> None:
    if not pair[0].done():
        pair[0].set_result(pair[1])


def _set_exception(pair: tuple[asyncio.Future[T], BaseException]) -> None:
    if not pair[0].done():
        pair[0].set_exception(pair[1])
