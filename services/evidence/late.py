"""Truths and rewards that arrive after their predictions: into the rows and into the sums, in one transaction.

What a row did not have is added to its sums; where a value is replaced, the sums of its block are made anew from the
rows, because a sum of squares from which something is taken away is no longer exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa

from services.domain import OutcomeStatus
from services.domain.values import same, single
from services.errors import InvalidPayload
from services.evidence.amending import NOT_SENT_YET, Changes
from services.evidence.blocks import Row
from services.evidence.door import plain
from services.evidence.recording import ASKED_AT_ONCE, chunks, lock_replays
from services.evidence.schema import outcomes, replays

Aside = Callable[[Row, Mapping[str, Any] | None, bool], str]
"""Asked with a row, the spec of its replay and whether the formula made its reward (else it was given): why the reward
is not for the arm's counter, in words, or ""."""


Unfit = Callable[[Row, "LateTruth", Mapping[str, Any] | None], str]
"""Asked with a row, what became known of it and the spec of its replay: why it cannot be, in words, or ""."""

PAST_SPLIT = "they were sent to an arm past the split"
"""Why a reward stays in the ledger alone where no split chose the arm."""


class Pricing(Protocol):
    """What truths earn. `spec` is that of the replay which sent the row, None for single requests."""

    def reward(self, truth: object, prediction: object, spec: Mapping[str, Any] | None) -> float | None:
        """The reward; None if there is no formula. Raises InvalidPayload if the formula cannot use the truth."""
        ...

    def known(self, spec: Mapping[str, Any] | None) -> bool:
        """Whether there is a formula."""
        ...

    def counted(self, spec: Mapping[str, Any] | None) -> bool:
        """Whether such rewards are for the arms' counters, which only grow."""
        ...


@dataclass(frozen=True, slots=True)
class LateTruth:
    """What became known of one prediction. `line` is where it was written; a `truth` or `reward` of None is unknown."""

    puid: str
    truth: object = None
    reward: float | None = None
    line: int = 0


class Fate(StrEnum):
    """What became of a late truth."""

    ATTACHED = "attached"
    REPLACED = "replaced"
    KEPT = "kept"  # the same was there before
    CONTRADICTS = "contradicts"  # another was there before, and was not to be replaced
    UNKNOWN = "unknown"  # no prediction has this puid
    UNANSWERED = "unanswered"  # the request failed, so there is no prediction
    BAD = "bad"  # nothing that can be true of the row, or that the reward can be computed from


@dataclass(frozen=True, slots=True)
class Attached:
    """One late truth and its fate; `words` says what was wrong, without a full stop at its end.

    `aside` says of each reward that stays in the ledger alone why; empty for those that a counter never takes.
    `unpriced`: nothing says what the truth earns, so the row has no reward.
    """

    late: LateTruth
    fate: Fate
    words: str = ""
    aside: tuple[str, ...] = ()
    unpriced: bool = False


def attach(
    connection: sa.Connection,
    found: Sequence[LateTruth],
    pricing: Pricing,
    *,
    who: str,
    why: str = "",
    only: tuple[str, str] | None = None,
    overwrite: bool = False,
    aside: Aside | None = None,
    unfit: Unfit | None = None,
) -> tuple[list[Attached], list[int]]:
    """Write what is new, and with `overwrite` what is different; each puid at most once in `found`.

    The connection must hold the write lock. Returns the fates, in the order of `found`, and the ids of the outcomes
    whose reward the arm's counter should now get: they are FEEDBACK_FAILED until `fed` says otherwise. Rewards for
    which `aside` has words, and those of rows past the split, are not among them. What `unfit` has words for is BAD.
    """
    rows = _rows(connection, [late.puid for late in found], only)
    specs = _specs(connection, {row["replay"] for group in rows.values() for row in group})
    fates, changes = [], Changes(connection)
    for late in found:
        if not rows[late.puid]:
            fates.append(Attached(late, Fate.UNKNOWN))
            continue
        fate, words, unpriced = Fate.KEPT, "", False
        reasons: list[str] = []
        for row in rows[late.puid]:
            if row["status"] == OutcomeStatus.PREDICTION_FAILED.value:
                fate = Fate.UNANSWERED
                continue
            spec = specs.get(row["replay"])
            if unfit is not None and (words := unfit(row, late, spec)):
                fate = Fate.BAD
                break
            against = _contradiction(row, late)
            if against and not overwrite:
                fate, words = Fate.CONTRADICTS, against
                continue
            try:
                after, reason = _amended(row, late, pricing, spec, bool(against), overwrite, aside)
            except InvalidPayload as error:
                fate, words = Fate.BAD, ". ".join(part.rstrip(".") for part in (error.sentence, error.hint) if part)
                break
            if after is not None:
                unpriced = unpriced or (after["reward"] is None and not pricing.known(spec))
                replaced = _differs(row["truth"], after["truth"]) or _differs(row["reward"], after["reward"])
                if fate is not Fate.CONTRADICTS:  # of another row of this puid, which is worth more words
                    fate = Fate.REPLACED if replaced else Fate.ATTACHED
                changes.add(row, after, replaced)
                reasons += [reason] if reason else []
        fates.append(Attached(late, fate, words, tuple(reasons), unpriced))
    changes.write(who, why)
    return fates, changes.to_feed


def deployments_of(
    connection: sa.Connection, puids: Sequence[str], only: tuple[str, str] | None = None
) -> set[tuple[str, str]]:
    """Namespace and name of the deployments that gave these predictions."""
    found: set[tuple[str, str]] = set()
    for some in chunks(puids, ASKED_AT_ONCE):
        query = _with(sa.select(outcomes.c.namespace, outcomes.c.deployment).distinct(), some, only)
        found |= {(row.namespace, row.deployment) for row in connection.execute(query)}
    return found


def _amended(
    row: Row,
    late: LateTruth,
    pricing: Pricing,
    spec: Mapping[str, Any] | None,
    contradicts: bool,
    overwrite: bool,
    aside: Aside | None,
) -> tuple[dict[str, Any] | None, str]:
    """The row with what became known, or None if nothing changes; and why a reward stays in the ledger alone."""
    truth_given, reward_given = plain(late.truth), late.reward
    truth = row["truth"] if truth_given is None else truth_given
    reward, by_formula = row["reward"] if reward_given is None else float(reward_given), False
    if reward_given is None and truth_given is not None and (row["reward"] is None or overwrite):
        priced = pricing.reward(truth, row["prediction"], spec)
        reward, by_formula = (reward, False) if priced is None else (priced, True)
    if reward == row["reward"] and (truth_given is None or (row["truth"] is not None and not contradicts)):
        return None, ""
    after = {**row, "truth": truth, "reward": reward}
    if not (pricing.counted(spec) and _wants_feedback(row, reward)):
        return after, ""
    reason = "" if row["routed"] else PAST_SPLIT
    if not reason and aside is not None:
        reason = aside(row, spec, by_formula)
    if not reason:
        after |= {"status": OutcomeStatus.FEEDBACK_FAILED.value, "error": NOT_SENT_YET}
    elif row["status"] == OutcomeStatus.FEEDBACK_FAILED.value:  # it waited, and need not any more
        after |= {"status": OutcomeStatus.OK.value, "error": ""}
    return after, reason


def _contradiction(row: Row, late: LateTruth) -> str:
    """What is stored and something else than what became known, in words without a full stop, or ""."""
    for name, given in (("truth", plain(late.truth)), ("reward", late.reward)):
        if given is not None and _differs(row[name], given):
            return f"the {name} stored for {late.puid} is {single(row[name])}, the file says {single(given)}"
    return ""


def _wants_feedback(row: Row, reward: float | None) -> bool:
    """Whether the arm's counter lacks this reward; a counter only grows."""
    if reward is None or reward < 0 or not row["predictor"]:
        return False
    return row["reward"] is None or row["status"] == OutcomeStatus.FEEDBACK_FAILED.value


def _differs(before: object, after: object) -> bool:
    """Whether something was there before, and is something else now."""
    return before is not None and not same(single(before), single(after))


def _rows(
    connection: sa.Connection, puids: Sequence[str], only: tuple[str, str] | None
) -> defaultdict[str, list[dict[str, Any]]]:
    """The outcomes with these puids; their replays are locked first, as whoever records outcomes does."""
    for some in chunks(puids, ASKED_AT_ONCE):
        lock_replays(
            connection, connection.execute(_with(sa.select(outcomes.c.replay).distinct(), some, only)).scalars()
        )
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for some in chunks(puids, ASKED_AT_ONCE):
        query = _with(sa.select(outcomes), some, only).order_by(outcomes.c.id).with_for_update()
        for row in connection.execute(query).mappings():
            found[row["puid"]].append(dict(row))
    return found


def _with(query: sa.Select[Any], puids: Sequence[str], only: tuple[str, str] | None) -> sa.Select[Any]:
    query = query.where(outcomes.c.puid.in_(puids))
    return query if only is None else query.where(outcomes.c.namespace == only[0], outcomes.c.deployment == only[1])


def _specs(connection: sa.Connection, numbers: Iterable[int | None]) -> dict[int, Mapping[str, Any]]:
    wanted = [number for number in numbers if number is not None]
    query = sa.select(replays.c.id, replays.c.spec).where(replays.c.id.in_(wanted))
    return {row.id: row.spec for row in connection.execute(query)} if wanted else {}
