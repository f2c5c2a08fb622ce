"""Outcomes, replays, changes, trainings: the tables from before revisions were counted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="queued running done cancelled failed"),
        sa.Column("cursor", sa.Integer, nullable=False, comment="rows recorded so far; outcomes says which"),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("counters", sa.JSON, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
    )
    op.create_index("replays_by_deployment", "replays", ["namespace", "deployment", "created_at"])
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("puid", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("predictor", sa.String(63), nullable=False),
        sa.Column("segment", sa.String(255), nullable=False, comment="the split in force when it was sent: a=80,b=20"),
        sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE")),
        sa.Column("row", sa.Integer, comment="row of the dataset; NULL for a single test request"),
        sa.Column("pass", sa.Integer, nullable=False),
        sa.Column("prediction", sa.JSON),
        sa.Column("truth", sa.JSON),
        sa.Column("reward", sa.Float),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.UniqueConstraint("replay", "row", "pass", name="one_outcome_per_row"),
    )
    op.create_index("ix_outcomes_puid", "outcomes", ["puid"])
    op.create_index("outcomes_by_deployment", "outcomes", ["namespace", "deployment", "at"])
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("pending", sa.Boolean, nullable=False, comment="an intent: not known to have happened"),
    )
    op.create_index("changes_by_deployment", "changes", ["namespace", "deployment", "at"])
    op.create_table(
        "trainings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("entry_point", sa.String(255), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("experiment", sa.String(255), nullable=False),
        sa.Column("env_manager", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="queued running done cancelled failed"),
        sa.Column("run_id", sa.String(64)),
        sa.Column("log_path", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
    )
