"""Sends a labelled dataset through a deployment: predict, reward, feedback, row by row, many rows at once.

Promises, whatever is killed meanwhile:

- Every row ends as exactly one outcome: answered, answered without its feedback, or failed with the words of the error.
  A row that goes to both arms ends as two, handed to the store together, so that no crash leaves half a pair.
- A part that restarts costs time, not rows: while an arm answers nobody its rows wait, and the progress says so; a row
  that has no answer where others have fails after a minute (see `sending`). If an arm stays silent for half an hour the
  replay stops, and can be resumed, instead of failing every row that is left.
- Feedback goes straight to the arm that answered, and to nobody where the answer does not say which that was: through
  an ingress of Seldon's it would be divided again. It is repeated until it is confirmed, so if a confirmation was lost,
  or the process was killed between feedback and ledger, an arm's counter can hold a reward twice. The ledger cannot.
- Where Decant draws the arms itself, it does so by the split in force, which it reads every second; a row's segment is
  the split by which its arm was drawn.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.domain import PAIRED, PINNED, Endpoint, Outcome, OutcomeStatus, Relay
from services.errors import DecantError, InvalidPayload, Unavailable
from services.traffic.asking import Reply, Route, Row, ask, unwrap
from services.traffic.attribution import UNKNOWN_ARM
from services.traffic.pacing import Pacer, RateWindow, end_all, every
from services.traffic.protocol import feedback_bytes
from services.traffic.replay import ArmCounters, Progress, ReplayHooks, ReplayPlan, ReplayRow, StopSignal
from services.traffic.replay_words import long, waiting_words
from services.traffic.sending import FEEDING, RELAYED_AT_ONCE, GaveUp, Sender, Stopping

log = logging.getLogger(__name__)

TICK_S = 0.1
SAVE_EVERY_S = 0.3
SEGMENT_EVERY_S = 1.0
WORTH_SAYING_S = 3.0
"""An arm that is silent for less is hardly noticed."""
KEPT_ERRORS = 10
MOST_UNSAVED = 5_000
"""Outcomes held while the store does not answer; beyond it, sending waits."""


async def run_replay(
    plan: ReplayPlan,
    hooks: ReplayHooks,
    stop: StopSignal,
    before: Sequence[ArmCounters] = (),
    relay: Relay | None = None,
) -> Progress:
    """Send the rows of `plan`; returns when all are recorded or `stop` was requested (then some are not).

    Args:
        before: the counters of the rows that an earlier run recorded.
        relay: passes requests to arms that have no address here.

    Raises:
        Unavailable: if an arm answered nothing for as long as `plan.outage_s`, or the store took nothing for
            `plan.patience_s`. What was answered until then is recorded if the store permits.
        NotFound: if the deployment or its predictor is not there.
        Forbidden: if the way leads through an API server that does not let us pass.
    """

    async def down(arm: str) -> bool:
        return await asyncio.to_thread(hooks.down, arm)

    async with Sender(
        plan.concurrency, plan.timeout_s, plan.patience_s, relay, outage_s=plan.outage_s, down=down
    ) as sender:
        return await _Replayer(plan, hooks, stop, before, sender).run()


class _Replayer:
    """The state of one run. All of it belongs to the event loop; hooks get copies."""

    def __init__(
        self, plan: ReplayPlan, hooks: ReplayHooks, stop: StopSignal, before: Sequence[ArmCounters], sender: Sender
    ) -> None:
        self._plan, self._hooks, self._stop, self._sender = plan, hooks, stop, sender
        self._rows = iter(plan.rows)
        self._feedback = False  # worked out once, not per row
        self._arms = {arm.predictor: arm for arm in before}
        self._done = sum(arm.sent for arm in before) // max(1, len(plan.arms))
        self._pacer, self._window, self._cpu = Pacer(plan.rate), RateWindow(), RateWindow()
        self._errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._asked: list[Route] = []
        self._routes: dict[str, Route] = {}
        self._segment = PAIRED if plan.arms else f"{PINNED}{plan.predictor}" if plan.predictor else ""
        self._unsaved: list[Outcome] = []
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._silent: GaveUp | None = None

    async def run(self) -> Progress:
        plan = self._plan
        for arm in plan.arms or (plan.predictor,):
            self._asked.append(self._route(arm or "", await asyncio.to_thread(self._hooks.endpoint, arm)))
        self._feedback = plan.feedback and all(route.endpoint.feeds for route in self._asked)
        beside = [every(SAVE_EVERY_S, self._save)]
        if plan.routed:
            by = self._asked[0].endpoint.split
            self._segment = by.text if by else ""
            await self._read_segment()
            beside.append(every(SEGMENT_EVERY_S, self._read_segment))
        relayed = any(route.endpoint.relayed for route in self._asked)
        most = min(plan.concurrency, RELAYED_AT_ONCE) if relayed else plan.concurrency
        at_once = max(1, most // len(self._asked))
        workers = {asyncio.create_task(self._send_rows()) for _ in range(at_once)}
        helpers = {asyncio.create_task(helper) for helper in beside}
        try:
            await self._watch(workers, helpers)
        finally:
            await end_all(workers | helpers)
        await self._save()
        if self._silent:
            raise Unavailable(
                self._asked[0].endpoint.part,
                f"no usable answer for {long(self._plan.outage_s)}; the last was “{self._silent.words}”",
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
            self._cpu.add(now, time.process_time())
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
                outcomes = await self._send(row)
            except Stopping:
                return  # not recorded, so a resumed replay sends this row again
            self._record(row, outcomes)

    async def _send(self, row: ReplayRow) -> list[Outcome]:
        values = Row.of(row.values)
        segment = self._segment
        if not self._plan.arms:
            return [await self._send_to(self._asked[0].chosen(), row, values, segment)]
        # Whoever is sent first waits less. In turn, so that no arm is the faster one for that reason.
        turn = 1 if (row.index + row.pass_) % 2 else -1
        halves = (self._send_to(route, row, values, segment) for route in self._asked[::turn])
        found = (await asyncio.gather(*halves, return_exceptions=True))[::turn]
        for half in found:
            if isinstance(half, BaseException):  # then the other half goes unrecorded too, and the pair is sent again
                raise half
        return [half for half in found if isinstance(half, Outcome)]

    async def _send_to(self, route: Route, row: ReplayRow, values: Row, segment: str) -> Outcome:
        plan, at = self._plan, datetime.now(UTC)
        puid = f"r{plan.replay}-{row.pass_}-{row.index}" + (f"-{route.name}" if plan.arms else "")

        def outcome(status: OutcomeStatus, arm: str, error: str = "", **found: Any) -> Outcome:
            standard = {"prediction": None, "reward": None, "latency_ms": 0.0}
            return Outcome(
                puid, plan.namespace, plan.deployment, arm, segment, plan.replay, row.index,
                truth=row.truth, status=status, at=at, pass_=row.pass_, error=error, digest=plan.digest,
                paired=bool(plan.arms), routed=plan.routed, **(standard | found),
            )  # fmt: skip

        try:
            reply = await ask(self._sender, route, values, puid)
        except GaveUp as error:
            if error.silent:
                self._silent = error
                raise Stopping from error
            return outcome(OutcomeStatus.PREDICTION_FAILED, route.name, error.words)
        if reply.error:
            arm = route.name if plan.arms else reply.arm
            return outcome(OutcomeStatus.PREDICTION_FAILED, arm, reply.error, latency_ms=reply.latency_ms)
        got = {"prediction": unwrap(reply.prediction), "latency_ms": reply.latency_ms}
        arm = reply.arm
        if row.truth is None:
            return outcome(OutcomeStatus.OK, arm, **got)
        try:
            reward = plan.reward(row.truth, reply.prediction)
        except InvalidPayload as error:
            return outcome(OutcomeStatus.FEEDBACK_FAILED, arm, str(error), **got)
        if not math.isfinite(reward):
            words = f"the reward of {reply.prediction} is not a number"
            return outcome(OutcomeStatus.FEEDBACK_FAILED, arm, words, **got)
        if not self._feedback:
            return outcome(OutcomeStatus.OK, arm, reward=reward, **got)
        if reward < 0:  # of a formula that was never negative where it was tried
            words = f"the reward {reward:g} is negative and stays in the ledger: counters only grow"
            return outcome(OutcomeStatus.FEEDBACK_FAILED, arm, words, reward=reward, **got)
        if not arm:  # in the ledger it is nobody's either, and there is no arm to send it to later
            return outcome(OutcomeStatus.OK, arm, UNKNOWN_ARM, reward=reward, **got)
        words = await self._give_feedback(arm, values, reply, reward, row.truth)
        status = OutcomeStatus.FEEDBACK_FAILED if words else OutcomeStatus.OK
        return outcome(status, arm, words, reward=reward, **got)

    async def _give_feedback(self, arm: str, values: Row, reply: Reply, reward: float, truth: object) -> str:
        """Send the reward to the arm that earned it; returns the words of what went wrong, or ""."""
        try:
            route = self._routes.get(arm) or self._route(arm, await asyncio.to_thread(self._hooks.endpoint, arm))
        except DecantError as error:  # the arm may just have been removed, or the engine be away
            return error.sentence
        body = feedback_bytes(values.json, reply.body, reward, truth)
        try:
            answer = await self._sender.post(route.feedback, body, route.headers, (FEEDING, arm))
        except GaveUp as error:
            return error.words
        return answer.words if answer.status >= 400 else ""

    def _route(self, arm: str, endpoint: Endpoint) -> Route:
        """The way to an arm, or through the split; the arms' are kept, and with them what their models want."""
        columns = self._plan.columns
        made = Route.to(arm, endpoint, self._plan.names, columns.get(arm) or columns.get("", ()))
        for name, route in ((arm, made), *((route.name, route) for _, route in made.arms)):
            kept = self._routes.get(name)
            if kept is not None and kept.endpoint == route.endpoint:
                route.inputs = kept.inputs
            if name:
                self._routes[name] = route
        return made

    def _record(self, row: ReplayRow, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            arm = self._arms.get(outcome.predictor, ArmCounters(outcome.predictor))
            self._arms[outcome.predictor] = arm.plus(outcome)
            if outcome.error:
                self._errors.append(f"Row {row.index}: {outcome.error}")
        self._done += 1
        self._unsaved.extend(outcomes)
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
            if not self._asked[0].endpoint.drawn:
                self._segment = await asyncio.to_thread(self._hooks.segment)
                return
            endpoint = await asyncio.to_thread(self._hooks.endpoint, None)
            # Without a pause in between: no row may be drawn by one split and written down under another.
            self._asked[0] = self._route("", endpoint)
            self._segment = endpoint.split.text if endpoint.split else self._segment
        except Unavailable as error:
            log.debug("the split in force is taken to be the last one read: %s", error)

    def _progress(self) -> Progress:
        arms = tuple(self._arms[name] for name in sorted(self._arms))
        return Progress(self._done, arms, self._window.per_s, tuple(self._errors), self._cpu.per_s, self._waiting())

    def _waiting(self) -> str:
        found = self._sender.waiting_for
        return (
            waiting_words(*found, self._plan.outage_s, self._asked[0].endpoint.part)
            if found and found[1] >= WORTH_SAYING_S
            else ""
        )
