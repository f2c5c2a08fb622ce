"""What the senders of a replay that several pods share have to say of themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replay_shares",
        sa.Column("replay", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("share", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("shares", sa.Integer, nullable=False),
        sa.Column("busy", sa.Float, nullable=False, comment="share of a processor core"),
        sa.Column("errors", sa.JSON, nullable=False, comment="the last few"),
        sa.Column("waiting", sa.Text, nullable=False, comment="which arm its rows wait for"),
        sa.Column("failure", sa.Text, nullable=False, comment="why it gave up; empty if it did not"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
