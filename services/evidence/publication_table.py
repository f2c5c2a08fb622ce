"""Publications as the store keeps them, and which published address stands for which model.

The models' progress is plain data here; services.jobs.publications gives it its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.domain import ChangeNote
from services.errors import NotFound
from services.evidence.door import connect, plain
from services.evidence.schema import publications, published_models


@dataclass(frozen=True)
class PublicationRecord:
    """One row of the table. `manifest` is what is applied once its models are published."""

    id: int
    namespace: str
    deployment: str
    manifest: str
    expected_version: str | None
    take_over: bool
    models: list[dict[str, Any]]
    state: str
    message: str
    cancel_requested: bool
    who: str
    why: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PublicationTable:
    """Access to the publications. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def add(
        self,
        namespace: str,
        deployment: str,
        manifest: str,
        models: Sequence[dict[str, Any]],
        state: str,
        note: ChangeNote,
        expected_version: str | None,
    ) -> PublicationRecord:
        """A new publication of which nothing is done."""
        values = {
            "namespace": namespace,
            "deployment": deployment,
            "manifest": manifest,
            "expected_version": expected_version,
            "take_over": note.take_over,
            "models": plain(models),
            "state": state,
            "message": "",
            "cancel_requested": False,
            "who": note.who,
            "why": note.why,
            "created_at": datetime.now(UTC),
        }
        with connect(self._database) as connection:
            made = connection.execute(sa.insert(publications).values(values)).inserted_primary_key
        return self.get(int(made[0]) if made else -1)

    def get(self, number: int) -> PublicationRecord:
        """Raises NotFound."""
        with connect(self._database) as connection:
            row = connection.execute(sa.select(publications).where(publications.c.id == number)).mappings().first()
        if row is None:
            raise NotFound("publication", str(number))
        return PublicationRecord(**row)

    def recent(self, namespace: str | None, deployment: str | None, limit: int) -> list[PublicationRecord]:
        """Newest first."""
        query = sa.select(publications).order_by(publications.c.created_at.desc(), publications.c.id.desc())
        if namespace is not None:
            query = query.where(publications.c.namespace == namespace)
        if deployment is not None:
            query = query.where(publications.c.deployment == deployment)
        with connect(self._database) as connection:
            return [PublicationRecord(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def in_state(self, states: Sequence[str]) -> list[PublicationRecord]:
        """Oldest first."""
        query = sa.select(publications).where(publications.c.state.in_(list(states))).order_by(publications.c.id)
        with connect(self._database) as connection:
            return [PublicationRecord(**row) for row in connection.execute(query).mappings()]

    def move(self, number: int, before: Sequence[str], **values: Any) -> bool:
        """Change it if it is in one of the states `before`; returns whether it was. Atomic."""
        where = (publications.c.id == number) & publications.c.state.in_(list(before))
        with connect(self._database) as connection:
            return connection.execute(sa.update(publications).where(where).values(_storable(values))).rowcount > 0

    # -- addresses -------------------------------------------------------------------------------------------------

    def note_address(self, uri: str, source: str, who: str, digest: str = "", bytes_: int = 0) -> None:
        """Remember that `uri` stands for the model that MLflow calls `source`."""
        values = {"source": source, "digest": digest, "bytes": bytes_, "who": who, "at": datetime.now(UTC)}
        with connect(self._database) as connection:
            # Two publishers of one model may note it at once: the database decides, and both are right.
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            adding = dialect.insert(published_models).values(uri=uri, **values)
            connection.execute(adding.on_conflict_do_update(index_elements=["uri"], set_=values))

    def source_of(self, uri: str) -> str | None:
        """What MLflow calls the model at a published address; None where nobody has noted it."""
        query = sa.select(published_models.c.source).where(published_models.c.uri == uri)
        with connect(self._database) as connection:
            found: str | None = connection.execute(query).scalar()
        return found


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    """Columns of JSON made plain; the others go as they are."""
    return {key: plain(value) if key == "models" else value for key, value in values.items()}
