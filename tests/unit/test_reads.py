"""How long pages remember what they read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app import reads
from services.errors import Unavailable


class Clock:
    """Stands until a question takes its time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(reads, "time", found)
    reads.forget()
    yield found
    reads.forget()


def slow(clock: Clock, took_s: float, asked: list[float], error: Exception | None = None) -> reads.Read[[], float]:
    """A question that takes so long, and is kept for half a second; `asked` notes when it was asked."""

    def question(_: Any) -> float:
        asked.append(clock.now)
        clock.now += took_s
        if error is not None:
            raise error
        return clock.now

    return reads.remembered(0.5)(question)


@pytest.mark.parametrize(
    ("took_s", "kept_s"),
    [(0.0, 0.5), (0.4, 0.5), (1.2, 1.2), (60.0, reads.FAILURE_TTL_S)],  # at most as long as a failure
)
def test_an_answer_is_kept_for_as_long_as_it_took(clock: Clock, took_s: float, kept_s: float) -> None:
    asked: list[float] = []
    read, backend = slow(clock, took_s, asked), object()
    found = read.of(backend)  # type: ignore[arg-type]
    clock.now += kept_s - 0.01
    assert read.of(backend) == found  # type: ignore[arg-type]
    clock.now += 0.02
    assert read.of(backend) > found  # type: ignore[arg-type]
    assert len(asked) == 2


def test_a_part_that_does_not_answer_is_not_asked_again_at_once(clock: Clock) -> None:
    asked: list[float] = []
    read = slow(clock, 1.0, asked, Unavailable("The gateway", "it is silent", "Wait."))
    backend = object()
    for wait_s in (0.0, reads.FAILURE_TTL_S - 0.01, 0.02):
        clock.now += wait_s
        with pytest.raises(Unavailable):
            read.of(backend)  # type: ignore[arg-type]
    assert len(asked) == 2
