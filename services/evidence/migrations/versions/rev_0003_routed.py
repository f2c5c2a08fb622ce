"""A mark on outcomes: whether the split chose the arm. Only then is a reward for the arm's counter.

Rows of replays are known by their replay's mode and by what stands in place of the split. Of single requests from
before this, nothing says which were sent to an arm of choice: they are taken to have gone through the split.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AT_ONCE = 500
LIVE = "live"

replays = sa.table("replays", sa.column("id", sa.Integer), sa.column("spec", sa.JSON))
outcomes = sa.table(
    "outcomes",
    sa.column("replay", sa.Integer),
    sa.column("segment", sa.String),
    sa.column("arm", sa.String),
    sa.column("routed", sa.Boolean),
)


def upgrade() -> None:
    op.add_column(
        "outcomes",
        sa.Column("routed", sa.Boolean, nullable=False, server_default=sa.true(), comment="the split chose the arm"),
    )
    past = sa.or_(outcomes.c.arm != "", outcomes.c.segment == "paired", outcomes.c.segment.like("pinned:%"))
    op.execute(sa.update(outcomes).where(past).values(routed=False))
    connection = op.get_bind()
    found = [number for number, spec in connection.execute(sa.select(replays.c.id, replays.c.spec)) if _past(spec)]
    for start in range(0, len(found), AT_ONCE):
        some = outcomes.c.replay.in_(found[start : start + AT_ONCE])
        op.execute(sa.update(outcomes).where(some).values(routed=False))
    if connection.dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column(
            "decisions", "state", existing_type=sa.String(16), existing_nullable=False,
            comment="doing done undoing undone",
        )  # fmt: skip


def _past(spec: Any) -> bool:
    """Whether a replay with this spec sent its rows past the split."""
    return isinstance(spec, Mapping) and str(spec.get("mode", LIVE)) != LIVE
