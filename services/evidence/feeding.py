"""Rewards that are in the ledger and not yet, or never, in the counter of the arm that earned them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.domain import OutcomeStatus
from services.evidence.recording import ASKED_AT_ONCE, chunks
from services.evidence.schema import blocks, outcomes


@dataclass(frozen=True, slots=True)
class Unfed:
    """A reward that is in the ledger and has not reached its arm's counter."""

    id: int
    puid: str
    namespace: str
    deployment: str
    predictor: str
    prediction: object
    truth: object
    reward: float
    segment: str
    at: datetime


def fed(connection: sa.Connection, results: Mapping[int, str]) -> None:
    """Note that rewards have reached their arm's counter or need not, or not yet, with the words of an error.

    Outcomes of which that was known already stay as they are. The connection must hold the write lock.
    """
    gone: defaultdict[int, int] = defaultdict(int)
    for some in chunks(list(results), ASKED_AT_ONCE):
        query = sa.select(outcomes.c.id, outcomes.c.block).where(
            outcomes.c.id.in_(some), outcomes.c.status == OutcomeStatus.FEEDBACK_FAILED.value
        )
        for number, block in connection.execute(query.with_for_update()).all():
            error = results[number]
            status = OutcomeStatus.FEEDBACK_FAILED if error else OutcomeStatus.OK
            values = {"status": status.value, "error": error}
            connection.execute(sa.update(outcomes).where(outcomes.c.id == number).values(values))
            gone[block] += not error
    for block in sorted(gone):
        left = blocks.c.feedback_failed - gone[block]
        connection.execute(sa.update(blocks).where(blocks.c.id == block).values(feedback_failed=left))


def unfed(
    connection: sa.Connection,
    *,
    ids: Iterable[int] | None = None,
    only: tuple[str, str] | None = None,
    after: int = 0,
    limit: int,
) -> list[Unfed]:
    """Rewards that have not reached their arm's counter and that a counter can take, oldest first."""
    query = sa.select(outcomes).where(
        outcomes.c.status == OutcomeStatus.FEEDBACK_FAILED.value,
        outcomes.c.reward >= 0,
        outcomes.c.routed,
        outcomes.c.predictor != "",
        outcomes.c.id > after,
    )
    if ids is not None:
        query = query.where(outcomes.c.id.in_(list(ids)))
    else:  # the few blocks that have any, so that a million rows need no look
        having = sa.select(blocks.c.id).where(blocks.c.feedback_failed > 0)
        query = query.where(outcomes.c.block.in_(having))
    if only is not None:
        query = query.where(outcomes.c.namespace == only[0], outcomes.c.deployment == only[1])
    names = ("id", "puid", "namespace", "deployment", "predictor", "prediction", "truth", "reward", "segment", "at")
    found = connection.execute(query.order_by(outcomes.c.id).limit(limit)).mappings()
    return [Unfed(*(row[name] for name in names)) for row in found]
