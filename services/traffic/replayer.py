"""Sends a labelled dataset through a deployment: predict, reward, feedback, row by row, many rows at once.

Promises, whatever is killed meanwhile:

- Every row ends as exactly one outcome: answered, answered without its feedback, or failed with the words of the error.
- A part that restarts costs time, not rows: requests are repeated for a minute (see `sending`). If nothing answers
  for that long the replay stops, and can be resumed, instead of failing every row that is left.
- Feedback goes straight to the arm that answered. It is repeated until it is confirmed, so if a confirmation was lost,
  or the process was killed between feedback and ledger, an arm's counter can hold a reward twice. The ledger cannot.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from yarl import URL

from services.domain import Endpoint, Outcome, OutcomeStatus
from services.errors import DecantError, InvalidPayload, Unavailable
from services.traffic.pacing import Pacer, RateWindow
from services.traffic.protocol import ARM_HEADER, FEEDBACK, PREDICTIONS, PUID_HEADER, answering_arm, response_values
from services.traffic.replay import ArmCounters, Progress, ReplayHooks, ReplayPlan, ReplayRow, StopSignal
from services.traffic.sending import Answer, GaveUp, Sender, Stopping, json_headers

log = logging.getLogger(__name__)

TICK_S = 0.1
SAVE_EVERY_S = 0.3
SEGMENT_EVERY_S = 1.0
KEPT_ERRORS = 10
MOST_UNSAVED = 5_000
"""Outcomes held while the store does not answer; beyond it, sending waits."""


async def run_replay(
    plan: ReplayPlan, hooks: ReplayHooks, stop: StopSignal, before: Sequence[ArmCounters] = ()
) -> Progress:
    """Send the rows of `plan`; returns when all are recorded or `stop` was requested (then some are not).

    Args:
        before: the counters of the rows that an earlier run recorded.

    Raises:
        Unavailable: if nothing answered, or the store took nothing, for as long as `plan.patience_s`. What was
            answered until then is recorded if the store permits.
        NotFound: if the deployment or its predictor is not there.
    """
    async with Sender(plan.concurrency, plan.timeout_s, plan.patience_s) as sender:
        return await _Replayer(plan, hooks, stop, before, sender).run()


@dataclass(slots=True)
class _Route:
    """An endpoint made ready for sending: parsed and merged once, not per row."""

    name: str
    endpoint: Endpoint
    predictions: URL
    feedback: URL
    headers: dict[str, str]

    @classmethod
    def to(cls, name: str, endpoint: Endpoint) -> _Route:
        urls = URL(endpoint.url + PREDICTIONS), URL(endpoint.url + FEEDBACK)
        return cls(name, endpoint, *urls, json_headers(dict(endpoint.headers)))


class _Replayer:
    """The state of one run. All of it belongs to the event loop; hooks get copies."""

    def __init__(
        self, plan: ReplayPlan, hooks: ReplayHooks, stop: StopSignal, before: Sequence[ArmCounters], sender: Sender
    ) -> None:
        self._plan, self._hooks, self._stop, self._sender = plan, hooks, stop, sender
        self._rows: Iterator[ReplayRow] = iter(plan.rows)
        self._names = orjson.dumps(list(plan.names))
        self._arms = {arm.predictor: arm for arm in before}
        self._done = sum(arm.sent for arm in before)
        self._pacer, self._window = Pacer(plan.rate), RateWindow()
        self._errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._routes: dict[str, _Route] = {}
        self._segment = f"pinned:{plan.predictor}" if plan.predictor else ""
        self._unsaved: list[Outcome] = []
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._silent: GaveUp | None = None

    async def run(self) -> Progress:
        main = await asyncio.to_thread(self._hooks.endpoint, self._plan.predictor)
        self._main = _Route.to(self._plan.predictor or "", main)
        beside = [_every(SAVE_EVERY_S, self._save)]
        if not self._plan.predictor:
            await self._read_segment()
            beside.append(_every(SEGMENT_EVERY_S, self._read_segment))
        workers = {asyncio.create_task(self._send_rows()) for _ in range(self._plan.concurrency)}
        helpers = {asyncio.create_task(helper) for helper in beside}
        try:
            await self._watch(workers, helpers)
        finally:
            await _end(workers | helpers)
        await self._save()
        if self._silent:
            raise Unavailable(
                "The gateway",
                f"no usable answer for {self._plan.patience_s:g} s; the last was “{self._silent.words}”",
                "When it is back, resume the replay: it sends the rows that are missing.",
            )
        return self._progress()

    async def _watch(self, workers: set[asyncio.Task[None]], helpers: set[asyncio.Task[None]]) -> None:
        """Return when the workers are done, or have had their grace after a request to stop."""
        deadline = math.inf
        while workers:
            finished, _ = await asyncio.wait(workers | helpers, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()  # a helper ends only by an error, and then there is no point in sending on
            workers = workers - finished
            now = time.monotonic()
            self._window.add(now, self._done)
            if (self._stop.requested or self._silent) and not self._stopping:
                self._stopping, deadline = True, now + self._stop.grace_s
                self._sender.stop()
                self._room.set()
            if now >= deadline:
                return

    # -- one row ---------------------------------------------------------------------------------------------------

    async def _send_rows(self) -> None:
        for row in self._rows:  # all workers share the iterator: each row is taken once
            await self._room.wait()
            await self._pacer.wait()
            if self._stopping:
                return
            try:
                self._record(row, await self._send(row))
            except Stopping:
                return  # not recorded, so a resumed replay sends this row again

    async def _send(self, row: ReplayRow) -> Outcome:
        plan, main = self._plan, self._main
        puid = f"r{plan.replay}-{plan.pass_}-{row.index}"
        at, segment = datetime.now(UTC), self._segment

        def outcome(status: OutcomeStatus, arm: str, error: str = "", **values: Any) -> Outcome:
            standard = {"prediction": None, "reward": None, "latency_ms": 0.0}
            return Outcome(
                puid, plan.namespace, plan.deployment, arm, segment, plan.replay, row.index,
                truth=row.truth, status=status, at=at, pass_=plan.pass_, error=error, **(standard | values),
            )  # fmt: skip

        values = orjson.dumps(row.values, default=str)
        body = b'{"data":{"names":%b,"ndarray":[%b]}}' % (self._names, values)
        try:
            answer = await self._sender.post(main.predictions, body, {**main.headers, PUID_HEADER: puid}, "predictions")
        except GaveUp as error:
            if error.route_silent:
                self._silent = error
                raise Stopping from error
            return outcome(OutcomeStatus.PREDICTION_FAILED, main.name, error.words)
        latency = {"latency_ms": answer.latency_ms}
        if answer.status >= 400:
            arm = answer.headers.get(ARM_HEADER, main.name)
            return outcome(OutcomeStatus.PREDICTION_FAILED, arm, answer.words, **latency)
        try:
            parsed = orjson.loads(answer.body)
            (prediction,) = response_values(parsed)
        except (orjson.JSONDecodeError, InvalidPayload, ValueError) as error:
            words = f"the answer is not one prediction: {error}"
            return outcome(OutcomeStatus.PREDICTION_FAILED, main.name, words, **latency)
        arm = answering_arm(answer.headers, parsed, main.endpoint)
        got = {"prediction": _unwrap(prediction), **latency}
        if row.truth is None:
            return outcome(OutcomeStatus.OK, arm, **got)
        try:
            reward = plan.reward(row.truth, prediction)
        except InvalidPayload as error:
            return outcome(OutcomeStatus.FEEDBACK_FAILED, arm, str(error), **got)
        if not math.isfinite(reward):
            return outcome(OutcomeStatus.FEEDBACK_FAILED, arm, f"the reward of {prediction} is not a number", **got)
        error_text = await self._give_feedback(arm, values, answer, reward, row.truth)
        status = OutcomeStatus.FEEDBACK_FAILED if error_text else OutcomeStatus.OK
        return outcome(status, arm, error_text, reward=reward, **got)

    async def _give_feedback(self, arm: str, values: bytes, answer: Answer, reward: float, truth: object) -> str:
        """Send the reward to the arm that earned it; returns the words of what went wrong, or "".

        The body is Seldon's: request, response, reward, truth. The response travels as the bytes it came in.
        """
        route = self._routes.get(arm) or await self._route_to(arm)
        body = b'{"request":{"data":{"ndarray":[%b]}},"response":%b,"reward":%b,"truth":{"data":{"ndarray":[%b]}}}' % (
            values, answer.body, orjson.dumps(reward), orjson.dumps(truth, default=str),
        )  # fmt: skip
        try:
            reply = await self._sender.post(route.feedback, body, route.headers, f"feedback {arm}")
        except GaveUp as error:
            return error.words
        return reply.words if reply.status >= 400 else ""

    async def _route_to(self, arm: str) -> _Route:
        if not arm:
            return self._main
        try:
            route = _Route.to(arm, await asyncio.to_thread(self._hooks.endpoint, arm))
        except DecantError as error:
            # The arm may just have been removed or the engine be away; the response names the arm in any case.
            log.warning("no endpoint for arm %s, its feedback goes through the split: %s", arm, error)
            return self._main
        self._routes[arm] = route
        return route

    def _record(self, row: ReplayRow, outcome: Outcome) -> None:
        self._arms[outcome.predictor] = self._arms.get(outcome.predictor, ArmCounters(outcome.predictor)).plus(outcome)
        self._done += 1
        if outcome.error:
            self._errors.append(f"Row {row.index}: {outcome.error}")
        self._unsaved.append(outcome)
        if len(self._unsaved) >= MOST_UNSAVED:
            self._room.clear()

    # -- beside the rows -------------------------------------------------------------------------------------------

    async def _save(self) -> None:
        """Hand what has gathered to the store, trying for as long as the gateway would be given.

        Outcomes leave the list only once they are saved, so being cancelled halfway loses none; saving them twice
        does no harm.
        """
        batch = self._unsaved[:]
        deadline = time.monotonic() + self._plan.patience_s
        while True:
            try:
                await asyncio.to_thread(self._hooks.save, batch, self._progress())
                break
            except Unavailable as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("the outcomes are kept until the store takes them: %s", error)
                await asyncio.sleep(SAVE_EVERY_S)
        del self._unsaved[: len(batch)]
        self._room.set()

    async def _read_segment(self) -> None:
        try:
            self._segment = await asyncio.to_thread(self._hooks.segment)
        except Unavailable as error:
            log.debug("the split in force is taken to be the last one read: %s", error)

    def _progress(self) -> Progress:
        arms = tuple(self._arms[name] for name in sorted(self._arms))
        return Progress(self._done, arms, self._window.per_s, tuple(self._errors))


async def _every(seconds: float, act: Callable[[], Any]) -> None:
    while True:
        await asyncio.sleep(seconds)
        await act()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _unwrap(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value
