"""Watching background work from a terminal, and letting Ctrl-C end it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from app.cli.options import json_option, services
from app.cli.output import plain, put_json, put_table, say
from services.errors import DecantError, InvalidInput, StartFailed, Unavailable

if TYPE_CHECKING:
    from services.factory import Services
    from services.jobs.replay_values import Replay
    from services.jobs.states import JobState

POLL_S = 0.3
WORKER_CHECK_S = 5.0
WORKER_PATIENCE_S = 30.0  # the supervisor starts a killed worker again well within this
CANCEL_PATIENCE_S = 15.0
RERUN_HINT = "`python -m app jobs` shows how far it is."


class Job(Protocol):
    """What trainings, replays and publications have in common."""

    @property
    def id(self) -> int: ...
    @property
    def state(self) -> JobState: ...
    @property
    def message(self) -> str: ...


J = TypeVar("J", bound=Job)


def follow(built: Services, read: Callable[[], J], show: Callable[[J], None], cancel: Callable[[], None]) -> J:
    """Show a job until it is over. Ctrl-C offers to cancel it, and cancels it where nobody can be asked.

    Raises:
        Unavailable: if the worker stays away, so that the job would never end.
        KeyboardInterrupt: after Ctrl-C.
    """
    watch = _WorkerWatch(built)
    try:
        while not (job := read()).state.final:
            show(job)
            watch.check()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        _offer_cancel(read, cancel)
        raise
    show(job)
    return job


def _offer_cancel(read: Callable[[], Job], cancel: Callable[[], None]) -> None:
    say("")
    if sys.stdin.isatty() and not click.confirm("Cancel it? (No leaves it running in the background)", default=True):
        say(f"It goes on. See `python -m app jobs` (number {read().id}).")
        return
    cancel()
    deadline = time.monotonic() + CANCEL_PATIENCE_S
    while not (job := read()).state.final and time.monotonic() < deadline:
        time.sleep(POLL_S)
    say("Cancelled." if job.state.final else "It will be cancelled as soon as the worker notices.")


class _WorkerWatch:
    """Notices that nobody is there to do the work."""

    def __init__(self, built: Services) -> None:
        self._built = built
        self._next_check = time.monotonic() + WORKER_CHECK_S
        self._last_seen = time.monotonic()

    def check(self) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + WORKER_CHECK_S
        if self._built.health.one("Worker").ok:
            self._last_seen = now
        elif now - self._last_seen > WORKER_PATIENCE_S:
            raise Unavailable(
                "The worker",
                f"for {now - self._last_seen:.0f} s",
                "The job is kept, and goes on when Decant runs again: `make run`.",
            )


def check_done(job: Job, what: str, log_tail: list[str] | None = None) -> None:
    """Raise StartFailed if a followed job failed, DecantError if somebody else cancelled it."""
    if job.state.value == "failed":
        raise StartFailed(what, job.message or "no reason was recorded", log_tail or [])
    if job.state.value == "cancelled":
        raise DecantError(f"{what} was cancelled.")


@click.command()
@click.option("--limit", default=20, show_default=True, help="How many of each kind.")
@json_option
def jobs(limit: int, as_json: bool) -> None:
    """List trainings, replays and publications of models, newest first.

    \b
    Example: python -m app jobs
    JSON: {"trainings": [{id, state, parameters, run_id, ...}], "replays": [{id, state, spec, arms, ...}],
           "publications": [{id, state, deployment, models, ...}]}
    """
    built = services()
    trainings, replays = built.training.recent(limit), built.replays.recent(limit=limit)
    publications = built.publications.recent(limit=limit)
    if as_json:
        put_json(
            {
                "trainings": [plain(t) for t in trainings],
                "replays": [plain(r) for r in replays],
                "publications": [plain(p) for p in publications],
            }
        )
        return
    rows = [
        ("training", t.id, t.state.value, " ".join(f"{k}={v}" for k, v in t.parameters.items()), t.who, t.message)
        for t in trainings
    ]
    rows += [
        (
            "replay",
            r.id,
            r.state.value,
            f"{r.spec.deployment} {r.done_rows:,}/{r.total:,}{_senders(r)}",
            r.who,
            r.message,
        )
        for r in replays
    ]
    rows += [
        ("publication", p.id, p.state.value, f"{p.deployment} {' '.join(m.label for m in p.models)}", p.who, p.message)
        for p in publications
    ]
    put_table(("kind", "id", "state", "what", "who", "message"), rows, right=(1,))


def _senders(replay: Replay) -> str:
    return f" by {replay.senders} senders" if replay.senders > 1 else ""


@click.command()
@click.argument("kind", type=click.Choice(["training", "replay", "publication"]))
@click.argument("number", type=int)
def cancel(kind: str, number: int) -> None:
    """Cancel a training, a replay or a publication of models.

    \b
    Example: python -m app cancel replay 3
    """
    built = services()
    cancels = {
        "training": built.training.cancel,
        "replay": built.replays.cancel,
        "publication": built.publications.cancel,
    }
    cancels[kind](number)
    say(f"Asked the worker to cancel {kind} {number}.")


@click.command()
@click.argument("number", type=int)
def resume(number: int) -> None:
    """Let a cancelled or failed replay go on: it sends the rows that are missing.

    \b
    Example: python -m app resume 3
    """
    from services.jobs.states import JobState

    replay = services().replays.resume(number)
    if replay.state is JobState.DONE:
        raise InvalidInput(f"Replay {number} is done: nothing is left to send.")
    say(f"Replay {number} goes on with {replay.total - replay.done_rows:,} rows; {RERUN_HINT}")
