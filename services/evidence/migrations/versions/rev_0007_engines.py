"""Which engine a change was begun on, where several stand before one store. Of earlier ones nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "changes",
        sa.Column("engine", sa.String(255), nullable=False, server_default="", comment="where it was begun, if known"),
    )
