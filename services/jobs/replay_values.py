"""Replays as people see them, and their way in and out of the store's plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from services.evidence.replay_table import ReplayRecord
from services.evidence.store import ArmLedger
from services.jobs.states import JobState
from services.traffic.replay import SENDER_BUSY, ArmCounters, Progress, ReplayMode, ReplaySpec
from services.traffic.rewards import Reward


@dataclass(frozen=True)
class Replay:
    """A replay as people see it. `errors` are the last few; `rows_per_s` covers the last seconds while it runs and
    the whole run once it ended, and so does `busy`, the share of a processor core that the sending took (of several
    `senders`: the busiest). `waiting` says which arm the rows of a running replay wait for, empty if for none;
    `sent_by` who sends them, where that is worth saying."""

    id: int
    spec: ReplaySpec
    digest: str
    state: JobState
    done_rows: int
    total: int
    arms: tuple[ArmCounters, ...]
    rows_per_s: float
    message: str
    errors: tuple[str, ...]
    who: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    busy: float = 0.0
    waiting: str = ""
    senders: int = 1
    sent_by: str = ""

    @property
    def bottleneck(self) -> str:
        """Says so when the sender was what limited the pace; empty when it was not."""
        rate = self.spec.rate
        if self.busy < SENDER_BUSY or (rate is not None and self.rows_per_s > 0.9 * rate):
            return ""
        if self.senders > 1:
            return (
                f"The senders themselves are the bottleneck: the busiest of {self.senders} takes {self.busy:.0%} of a "
                "processor core, which is all that Python can use. The arms could answer more, and their latencies "
                "here include the senders' own delay. More senders (DECANT_REPLAY_JOB_WORKERS) send faster."
            )
        return (
            f"The sender itself is the bottleneck: the worker takes {self.busy:.0%} of a processor core, which is all "
            "that Python can use. The arms could answer more, and their latencies here include the sender's own delay."
        )

    @property
    def progress(self) -> float:
        """Within 0 to 1."""
        return self.done_rows / self.total if self.total else 1.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the present pace; None when it does not run or does not move."""
        if self.state is not JobState.RUNNING or self.rows_per_s <= 0:
            return None
        return (self.total - self.done_rows) / self.rows_per_s


def spec_to_json(spec: ReplaySpec) -> dict[str, Any]:
    return {
        **asdict(spec),
        "mode": str(spec.mode),
        "arms": list(spec.arms),
        "reward": spec.reward.to_json(),
    }


def spec_from_json(stored: dict[str, Any]) -> ReplaySpec:
    """The spec of a stored replay, however old."""
    values = {key: value for key, value in stored.items() if key not in ("digest", "feedback")}
    values["mode"] = ReplayMode(values["mode"])
    values["reward"] = Reward.from_json(values["reward"])
    values["arms"] = tuple(values.get("arms", ()))
    values["columns"] = {arm: tuple(names) for arm, names in values.get("columns", {}).items()}
    # A shuffle once meant: shuffle the file, then take the rows. That is now a random sample, sent shuffled.
    values.setdefault("sample_seed", values.get("shuffle_seed"))
    return ReplaySpec(**values)


def progress_to_json(progress: Progress) -> dict[str, Any]:
    arms = [asdict(arm) for arm in progress.arms]
    return {
        "arms": arms,
        "rows_per_s": progress.rows_per_s,
        "errors": list(progress.errors),
        "busy": progress.busy,
        "waiting": progress.waiting,
        "senders": progress.senders,
        "sent_by": progress.sent_by,
    }


def counters_of(arm: ArmLedger) -> ArmCounters:
    return ArmCounters(
        predictor=arm.predictor,
        sent=arm.answered + arm.prediction_failed,
        failed=arm.prediction_failed,
        feedback_failed=arm.feedback_failed,
        reward_sum=arm.reward_sum,
        reward_n=arm.reward_n,
        latency_ms_sum=arm.latency_ms_sum,
    )


def replay_of(record: ReplayRecord) -> Replay:
    return Replay(
        id=record.id,
        spec=spec_from_json(record.spec),
        digest=str(record.spec["digest"]),
        state=JobState(record.state),
        done_rows=record.cursor,
        total=record.total,
        arms=tuple(ArmCounters(**arm) for arm in record.counters.get("arms", [])),
        rows_per_s=float(record.counters.get("rows_per_s", 0.0)),
        message=record.message,
        errors=tuple(record.counters.get("errors", [])),
        who=record.who,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        busy=float(record.counters.get("busy", 0.0)),
        waiting=str(record.counters.get("waiting", "")) if record.state == JobState.RUNNING.value else "",
        senders=int(record.counters.get("senders", 1)),
        sent_by=str(record.counters.get("sent_by", "")),
    )
