"""The ledger: blocks of sums beside the outcomes, paired rows, corrections, A/B tests and decisions.

Outcomes that were there before get their blocks after this, by `services.evidence.upgrade`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def _sums() -> list[sa.Column[float]]:
    return [
        sa.Column(f"{measure}_{part}", kind, nullable=part == "largest")
        for measure in ("reward", "squared_error", "absolute_error", "hits", "latency_ms")
        for part, kind in (("n", sa.Integer()), ("total", sa.Float()), ("squares", sa.Float()), ("largest", sa.Float()))
    ]


def upgrade() -> None:
    _blocks()
    with op.batch_alter_table("outcomes", recreate="auto") as outcomes:
        outcomes.add_column(
            sa.Column(
                "arm", sa.String(63), nullable=False, server_default="", comment="the predictor if paired, else empty"
            )
        )
        outcomes.add_column(
            sa.Column("digest", sa.String(64), nullable=False, server_default="", comment="of the dataset")
        )
        outcomes.add_column(
            sa.Column("block", sa.Integer, sa.ForeignKey("blocks.id", name="fk_outcomes_block"), nullable=True)
        )
        outcomes.add_column(
            sa.Column("pair", sa.Integer, sa.ForeignKey("pair_blocks.id", name="fk_outcomes_pair"), nullable=True)
        )
        outcomes.drop_constraint("one_outcome_per_row", type_="unique")
        outcomes.create_unique_constraint("one_outcome_per_row", ["replay", "row", "pass", "arm"])
    op.create_index("ix_outcomes_block", "outcomes", ["block"])
    op.create_index("ix_outcomes_pair", "outcomes", ["pair"])
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("outcome", sa.Integer, sa.ForeignKey("outcomes.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("truth_before", sa.JSON),
        sa.Column("reward_before", sa.Float),
        sa.Column("truth_after", sa.JSON),
        sa.Column("reward_after", sa.Float),
    )
    op.create_index("ix_corrections_outcome", "corrections", ["outcome"])
    _tests()


def _blocks() -> None:
    op.create_table(
        "blocks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE")),
        sa.Column("segment", sa.String(255), nullable=False),
        sa.Column("predictor", sa.String(63), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("feedback_failed", sa.Integer, nullable=False),
        *_sums(),
        sa.Column(
            "latency_counts",
            sa.JSON,
            nullable=False,
            comment="per edge of LATENCY_EDGES_MS, and what is above all",
        ),
    )
    op.create_index("blocks_by_deployment", "blocks", ["namespace", "deployment", "replay", "predictor", "segment"])
    op.create_table(
        "pair_blocks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("replay", sa.Integer, sa.ForeignKey("replays.id", ondelete="CASCADE"), nullable=False),
        sa.Column("a", sa.String(63), nullable=False, comment="the champion: differences are b - a"),
        sa.Column("b", sa.String(63), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("agree", sa.Integer, nullable=False, comment="pairs with the same prediction"),
        sa.Column("widest", sa.Float, nullable=False, comment="the largest gap between two predictions"),
        *_sums(),
    )
    op.create_index("pair_blocks_by_deployment", "pair_blocks", ["namespace", "deployment", "replay"])


def _tests() -> None:
    op.create_table(
        "ab_tests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("rule", sa.JSON, nullable=False),
        sa.Column("model_a", sa.Text, nullable=False),
        sa.Column("model_b", sa.Text, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("ended_why", sa.Text, nullable=False),
    )
    running = sa.text("ended_at IS NULL")
    op.create_index(
        "one_running_test",
        "ab_tests",
        ["namespace", "deployment"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_index("ab_tests_by_deployment", "ab_tests", ["namespace", "deployment", "started_at"])
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("test", sa.Integer, sa.ForeignKey("ab_tests.id"), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("deployment", sa.String(63), nullable=False),
        sa.Column("call", sa.String(16), nullable=False, comment="promote keep end"),
        sa.Column("winner", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="intended doing done undone"),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("report", sa.Text, nullable=False, comment="path of the report"),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("override", sa.Boolean, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
    )
    op.create_index("decisions_by_deployment", "decisions", ["namespace", "deployment", "at"])
