"""Steady load on a deployment from a thread of its own, with every answer kept."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import httpx

ROW = [7.0, 0.27, 0.36, 20.7, 0.045, 45.0, 170.0, 1.001, 3.0, 0.45, 8.8]
BODY = {"data": {"names": [], "ndarray": [ROW]}}


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it began and ended (monotonic seconds), its status (0: no answer), arm and prediction."""

    began: float
    ended: float
    status: int
    arm: str
    value: object


@dataclass
class Load:
    """`with Load(url) as load:` keeps `clients` busy; `answers` grows while it runs."""

    url: str
    clients: int = 4
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=40)

    @property
    def failures(self) -> list[Answer]:
        return [a for a in self.answers if a.status != 200]

    def since(self, moment: float) -> list[Answer]:
        """Answers to requests that began after `moment`."""
        return [a for a in self.answers if a.began > moment]

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    response = client.post(f"{self.url}/api/v1.0/predictions", json=BODY)
                    ok = response.status_code == 200
                    value = response.json()["data"]["ndarray"] if ok else response.text
                    arm, status = response.headers.get("x-decant-predictor", ""), response.status_code
                except httpx.HTTPError as error:
                    status, arm, value = 0, "", repr(error)
                self.answers.append(Answer(began, time.monotonic(), status, arm, value))
