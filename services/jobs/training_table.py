"""The trainings in the evidence store: rows in, values out. Every method raises Unavailable when it does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.errors import NotFound
from services.evidence.door import connect
from services.evidence.schema import trainings
from services.jobs.states import JobState


@dataclass(frozen=True)
class Training:
    """A training as people see it. `run_id` is known soon after the start; `message` says why it failed."""

    id: int
    project: str
    parameters: dict[str, str]
    experiment: str
    env_manager: str
    state: JobState
    run_id: str | None
    message: str
    who: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    log_path: str
    cancel_requested: bool = False


class TrainingTable:
    """Reads and writes the table `trainings`."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def add(
        self, project: str, parameters: dict[str, str], experiment: str, env_manager: str, who: str, logs: Path
    ) -> Training:
        """Add a queued training; its log goes into the folder `logs`."""
        values: dict[str, Any] = {
            "project": project,
            "parameters": parameters,
            "experiment": experiment,
            "env_manager": env_manager,
            "who": who,
            "state": JobState.QUEUED.value,
            "created_at": datetime.now(UTC),
            "log_path": "",
        }
        with connect(self._database) as connection:
            key = connection.execute(sa.insert(trainings).values(values)).inserted_primary_key
            training_id = int(key[0]) if key else 0
            log_path = str(logs / f"{training_id}.log")
            connection.execute(sa.update(trainings).where(trainings.c.id == training_id).values(log_path=log_path))
        return self.get(training_id)

    def get(self, training_id: int) -> Training:
        """Raises NotFound."""
        with connect(self._database) as connection:
            row = connection.execute(sa.select(trainings).where(trainings.c.id == training_id)).one_or_none()
        if row is None:
            raise NotFound("training", str(training_id))
        return _training(row)

    def recent(self, limit: int) -> list[Training]:
        """Newest first."""
        return self._select(sa.select(trainings).order_by(trainings.c.id.desc()).limit(limit))

    def in_state(self, state: JobState) -> list[Training]:
        """Oldest first."""
        return self._select(sa.select(trainings).where(trainings.c.state == state.value).order_by(trainings.c.id))

    def move(self, training_id: int, before: Sequence[JobState], **values: Any) -> bool:
        """Change the training if it is in one of the states `before`; returns whether it was. Atomic."""
        states = [state.value for state in before]
        where = (trainings.c.id == training_id) & trainings.c.state.in_(states)
        with connect(self._database) as connection:
            return connection.execute(sa.update(trainings).where(where).values(values)).rowcount > 0

    def _select(self, query: sa.Select[Any]) -> list[Training]:
        with connect(self._database) as connection:
            return [_training(row) for row in connection.execute(query)]


def _training(row: Any) -> Training:
    return Training(
        id=row.id,
        project=row.project,
        parameters=dict(row.parameters),
        experiment=row.experiment,
        env_manager=row.env_manager,
        state=JobState(row.state),
        run_id=row.run_id,
        message=row.message,
        who=row.who,
        created_at=_utc(row.created_at),
        started_at=_utc(row.started_at) if row.started_at else None,
        finished_at=_utc(row.finished_at) if row.finished_at else None,
        log_path=row.log_path,
        cancel_requested=bool(row.cancel_requested),
    )


def _utc(moment: datetime) -> datetime:
    # SQLite keeps no time zone; what is written is UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
