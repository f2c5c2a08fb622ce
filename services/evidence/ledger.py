"""The ledger: every prediction that Decant sent, with its truth and reward, and the sums that stand for a million."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from services.domain import Outcome
from services.evidence.blocks import Block, PairBlock
from services.evidence.door import connect, write
from services.evidence.feeding import Unfed, fed, unfed
from services.evidence.late import Aside, Attached, LateTruth, Pricing, Unfit, attach, deployments_of
from services.evidence.reading import (
    PairRow,
    PairRows,
    Scope,
    read_blocks,
    read_pair_blocks,
    read_pair_rows,
    top_rewards,
    widest_pairs,
)
from services.evidence.recording import record
from services.evidence.rows import row_of


class Ledger:
    """Writes and reads outcomes. Every method raises Unavailable when the database does not answer.

    `since` is inclusive and `until` exclusive, both on the time at which a row was sent.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def record(self, batch: Sequence[Outcome]) -> int:
        """Add outcomes and their sums in one transaction; a row of a replay that is already there changes nothing.

        Returns how many were new.
        """
        rows = [row_of(outcome) for outcome in batch]
        if not rows:
            return 0
        with write(self._database) as connection:
            return record(connection, rows)

    # -- sums ------------------------------------------------------------------------------------------------------

    def blocks(
        self,
        namespace: str,
        deployment: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        replay: int | None = None,
    ) -> list[Block]:
        """The sums of all outcomes, some hundred rows each, oldest first. Paired replays are in segment PAIRED."""
        with connect(self._database) as connection:
            return read_blocks(connection, Scope(namespace, deployment, since, until, replay))

    def pair_blocks(
        self,
        namespace: str,
        deployment: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        replay: int | None = None,
    ) -> list[PairBlock]:
        """The sums of the differences challenger - champion of paired replays, oldest first."""
        with connect(self._database) as connection:
            return read_pair_blocks(connection, Scope(namespace, deployment, since, until, replay))

    # -- rows ------------------------------------------------------------------------------------------------------

    def largest_disagreements(self, replays: Sequence[int], limit: int = 10) -> list[PairRow]:
        """The pairs whose predictions are furthest apart, furthest first; pairs that agree are left out."""
        with connect(self._database) as connection:
            return widest_pairs(connection, replays, limit)

    def pair_rows(self, replay: int) -> PairRows:
        """The pairs of one replay that earned two rewards, as arrays."""
        with connect(self._database) as connection:
            return read_pair_rows(connection, replay)

    def top_rewards(self, replays: Sequence[int], predictor: str, limit: int) -> NDArray[np.float64]:
        """The rewards of one arm in these replays that are largest in absolute value, largest first, shape (at most
        limit,)."""
        with connect(self._database) as connection:
            return top_rewards(connection, replays, predictor, limit)

    # -- what arrives late -----------------------------------------------------------------------------------------

    def attach(
        self,
        found: Sequence[LateTruth],
        pricing: Pricing,
        *,
        who: str,
        why: str = "",
        only: tuple[str, str] | None = None,
        overwrite: bool = False,
        dry_run: bool = False,
        aside: Aside | None = None,
        unfit: Unfit | None = None,
    ) -> tuple[list[Attached], list[int]]:
        """Write truths and rewards into rows and sums, in one transaction; see services.evidence.late.attach.

        Args:
            found: each puid at most once; a few thousand at a time, because nobody else writes meanwhile.
            pricing: what a truth earns.
            only: (namespace, deployment) whose predictions may be changed; puids of others count as unknown.
            overwrite: replace what is there and differs, and record what it was.
            dry_run: say what would happen, and change nothing.
            aside: says of which rewards the counters should not hear; None lets all through.
            unfit: says of which truths and rewards the row cannot be; None lets all through.

        Returns:
            The fates in the order of `found`, and the ids of the outcomes whose arm should get the reward as feedback.
        """
        with write(self._database) as connection:
            done = attach(
                connection, found, pricing, who=who, why=why, only=only, overwrite=overwrite, aside=aside, unfit=unfit
            )
            if dry_run:
                connection.rollback()
        return done

    def deployments_of(self, puids: Sequence[str], only: tuple[str, str] | None = None) -> set[tuple[str, str]]:
        """(namespace, name) of the deployments that gave these predictions."""
        with connect(self._database) as connection:
            return deployments_of(connection, puids, only)

    def unfed(
        self, *, ids: Iterable[int] | None = None, only: tuple[str, str] | None = None, after: int = 0, limit: int = 500
    ) -> list[Unfed]:
        """Rewards that have not reached their arm's counter, by id, from the one after `after` on."""
        with connect(self._database) as connection:
            return unfed(connection, ids=ids, only=only, after=after, limit=limit)

    def fed(self, results: Mapping[int, str]) -> None:
        """Note by outcome id that a reward reached its arm's counter (""), or the words of why it did not."""
        with write(self._database) as connection:
            fed(connection, results)
