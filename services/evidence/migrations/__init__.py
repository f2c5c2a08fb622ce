"""Alembic revisions of the evidence store. `services.evidence.upgrade` runs them."""
