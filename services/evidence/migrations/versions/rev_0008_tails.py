"""The rewards of each arm in order, so that the largest of a million are read as fast as those of a thousand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = sa.text("reward IS NOT NULL")
    op.create_index(
        "outcomes_by_reward", "outcomes", ["replay", "predictor", "reward"], sqlite_where=there, postgresql_where=there
    )
