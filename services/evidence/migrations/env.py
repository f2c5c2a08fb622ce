"""What Alembic runs around the revisions: on the connection, and in the transaction, of `services.evidence.upgrade`."""

from alembic import context

from services.evidence.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
