"""The tables of the evidence store. Times are UTC; JSON columns hold what may be number, text or list."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

metadata = sa.MetaData()


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A point in time: aware going in, aware in UTC coming out, on databases that forget the zone too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("puid", sa.String(64), nullable=False, index=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("predictor", sa.String(63), nullable=False),
    sa.Column("segment", sa.String(255), nullable=False, comment="the split in force when it was sent: a=80,b=20"),
    sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE")),
    sa.Column("row", sa.Integer, comment="row of the dataset; NULL for a single test request"),
    sa.Column("pass", sa.Integer, nullable=False, default=0),
    sa.Column("prediction", sa.JSON(none_as_null=True)),
    sa.Column("truth", sa.JSON(none_as_null=True)),
    sa.Column("reward", sa.Float),
    sa.Column("latency_ms", sa.Float, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("at", UtcDateTime, nullable=False),
    # One row of a replay counts once, however often the worker was killed and resumed.
    sa.UniqueConstraint("replay", "row", "pass", name="one_outcome_per_row"),
    sa.Index("outcomes_by_deployment", "namespace", "deployment", "at"),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, comment="queued running done cancelled failed"),
    sa.Column("cursor", sa.Integer, nullable=False, default=0, comment="rows recorded so far; outcomes says which"),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("counters", sa.JSON, nullable=False),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("replays_by_deployment", "namespace", "deployment", "created_at"),
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False, default=""),
    sa.Column("pending", sa.Boolean, nullable=False, default=False, comment="an intent: not known to have happened"),
    sa.Index("changes_by_deployment", "namespace", "deployment", "at"),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("entry_point", sa.String(255), nullable=False, default="main"),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("experiment", sa.String(255), nullable=False),
    sa.Column("env_manager", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, comment="queued running done cancelled failed"),
    sa.Column("run_id", sa.String(64)),
    sa.Column("log_path", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
)
