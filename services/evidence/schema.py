"""The tables of the evidence store. Times are UTC; JSON columns hold what may be number, text or list.

A change here needs a revision in services/evidence/migrations and its name in REVISION; a test compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa

from services.evidence.utc import UtcDateTime

REVISION = "0008"
"""The revision of services/evidence/migrations that makes these tables."""

VERSION_TABLE = "decant_schema"
"""Where a database says which revision it has. Not Alembic's usual name: MLflow may live in the same database."""

MEASURES = ("reward", "squared_error", "absolute_error", "hits", "latency_ms")
"""What the ledger keeps sums of."""

metadata = sa.MetaData()


def _sums() -> list[sa.Column[float]]:
    """Four columns for each measure: see services.stats.sums."""
    made: list[sa.Column[float]] = []
    for measure in MEASURES:
        made.append(sa.Column(f"{measure}_n", sa.Integer, nullable=False))
        made.append(sa.Column(f"{measure}_total", sa.Float, nullable=False))
        made.append(sa.Column(f"{measure}_squares", sa.Float, nullable=False))
        made.append(sa.Column(f"{measure}_largest", sa.Float))
    return made


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
    sa.Column("arm", sa.String(63), nullable=False, server_default="", comment="the predictor if paired, else empty"),
    sa.Column("digest", sa.String(64), nullable=False, server_default="", comment="of the dataset"),
    sa.Column("routed", sa.Boolean, nullable=False, server_default=sa.true(), comment="the split chose the arm"),
    sa.Column("prediction", sa.JSON(none_as_null=True)),
    sa.Column("truth", sa.JSON(none_as_null=True)),
    sa.Column("reward", sa.Float),
    sa.Column("latency_ms", sa.Float, nullable=False),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("error", sa.Text, nullable=False, default=""),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("block", sa.Integer, sa.ForeignKey("blocks.id"), index=True),
    sa.Column("pair", sa.Integer, sa.ForeignKey("pair_blocks.id"), index=True),
    # One row of a replay counts once, however often the worker was killed and resumed; once per arm if sent to both.
    sa.UniqueConstraint("replay", "row", "pass", "arm", name="one_outcome_per_row"),
    sa.Index("outcomes_by_deployment", "namespace", "deployment", "at"),
    # The largest rewards of an arm, for the tail of their distribution: no sum tells it, and reading all takes seconds.
    sa.Index(
        "outcomes_by_reward",
        "replay",
        "predictor",
        "reward",
        sqlite_where=sa.text("reward IS NOT NULL"),
        postgresql_where=sa.text("reward IS NOT NULL"),
    ),
)

blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE")),
    sa.Column("segment", sa.String(255), nullable=False),
    sa.Column("predictor", sa.String(63), nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("feedback_failed", sa.Integer, nullable=False),
    *_sums(),
    sa.Column("latency_counts", sa.JSON, nullable=False, comment="per edge of LATENCY_EDGES_MS, and what is above all"),
    sa.Index("blocks_by_deployment", "namespace", "deployment", "replay", "predictor", "segment"),
)

pair_blocks = sa.Table(
    "pair_blocks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE"), nullable=False),
    sa.Column("a", sa.String(63), nullable=False, comment="the champion: differences are b - a"),
    sa.Column("b", sa.String(63), nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("agree", sa.Integer, nullable=False, comment="pairs with the same prediction"),
    sa.Column("widest", sa.Float, nullable=False, comment="the largest gap between two predictions"),
    *_sums(),
    sa.Index("pair_blocks_by_deployment", "namespace", "deployment", "replay"),
)

corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("outcome", sa.Integer, sa.ForeignKey("outcomes.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("truth_before", sa.JSON(none_as_null=True)),
    sa.Column("reward_before", sa.Float),
    sa.Column("truth_after", sa.JSON(none_as_null=True)),
    sa.Column("reward_after", sa.Float),
)

ab_tests = sa.Table(
    "ab_tests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("rule", sa.JSON, nullable=False),
    sa.Column("model_a", sa.Text, nullable=False),
    sa.Column("model_b", sa.Text, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_why", sa.Text, nullable=False),
    sa.Index(
        "one_running_test",
        "namespace",
        "deployment",
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    ),
    sa.Index("ab_tests_by_deployment", "namespace", "deployment", "started_at"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("test", sa.Integer, sa.ForeignKey("ab_tests.id"), nullable=False),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("call", sa.String(16), nullable=False, comment="promote keep end"),
    sa.Column("winner", sa.String(63), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, comment="doing done undoing undone"),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("report", sa.Text, nullable=False, comment="path of the report"),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("override", sa.Boolean, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("decisions_by_deployment", "namespace", "deployment", "at"),
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
    sa.Column("engine", sa.String(255), nullable=False, server_default="", comment="where it was begun, if known"),
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

publications = sa.Table(
    "publications",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("deployment", sa.String(63), nullable=False),
    sa.Column("manifest", sa.Text, nullable=False, comment="what is applied once its models are published"),
    sa.Column("expected_version", sa.String(64), comment="of the deployment; NULL: whatever is there"),
    sa.Column("take_over", sa.Boolean, nullable=False),
    sa.Column("models", sa.JSON, nullable=False, comment="how far each is"),
    sa.Column("state", sa.String(16), nullable=False, comment="queued running done cancelled failed"),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("publications_by_deployment", "namespace", "deployment", "created_at"),
)

published_models = sa.Table(
    "published_models",
    metadata,
    sa.Column("uri", sa.Text, primary_key=True, comment="as Seldon reads it"),
    sa.Column("source", sa.Text, nullable=False, comment="as MLflow knows it"),
    sa.Column("digest", sa.String(64), nullable=False, comment="of its files; empty where it was used in place"),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("holder", sa.String(255), nullable=False),
    sa.Column("until", sa.Float, nullable=False, comment="seconds since the epoch, by the database's clock"),
)

replay_shares = sa.Table(
    "replay_shares",
    metadata,
    sa.Column("replay", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("share", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("shares", sa.Integer, nullable=False),
    sa.Column("busy", sa.Float, nullable=False, comment="share of a processor core"),
    sa.Column("errors", sa.JSON, nullable=False, comment="the last few"),
    sa.Column("waiting", sa.Text, nullable=False, comment="which arm its rows wait for"),
    sa.Column("failure", sa.Text, nullable=False, comment="why it gave up; empty if it did not"),
    sa.Column("at", UtcDateTime, nullable=False),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
