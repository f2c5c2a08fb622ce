"""Asking several services at once, so that a page waits for the slowest answer and not for all of them in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from services.errors import DecantError

_POOL = ThreadPoolExecutor(max_workers=16, thread_name_prefix="page")


class Answers:
    """The answers to `ask`, by name. Reading one that failed raises its error, inside the boundary that reads it."""

    def __init__(self, futures: Mapping[str, Future[Any]]) -> None:
        self._futures = dict(futures)

    def __getitem__(self, name: str) -> Any:
        return self._futures[name].result()

    def get(self, name: str, default: Any = None) -> Any:
        """The answer, or `default` when it failed with an error that Decant foresees."""
        try:
            return self[name]
        except DecantError:
            return default

    def error(self, name: str) -> DecantError | None:
        """The foreseen error of one question, if it failed with one."""
        error = self._futures[name].exception()
        return error if isinstance(error, DecantError) else None


def ask(questions: Mapping[str, Callable[[], Any]]) -> Answers:
    """Ask every question in a thread of its own. The questions must not touch Streamlit: it knows no such threads."""
    return Answers({name: _POOL.submit(question) for name, question in questions.items()})
