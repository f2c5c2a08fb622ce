"""Publications of models: the jobs that copy them to where Seldon reads, and which address stands for which model."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "publications",
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
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
    )
    op.create_index("publications_by_deployment", "publications", ["namespace", "deployment", "created_at"])
    op.create_table(
        "published_models",
        sa.Column("uri", sa.Text, primary_key=True, comment="as Seldon reads it"),
        sa.Column("source", sa.Text, nullable=False, comment="as MLflow knows it"),
        sa.Column("digest", sa.String(64), nullable=False, comment="of its files; empty where it was used in place"),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
