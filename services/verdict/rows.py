"""The rows behind a paired replay, for what sums cannot tell: where B stands out, and on rows that it has not learned.

Reading rows costs seconds by the million, so replays beyond MOST_PAIRS are judged by their sums alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.domain.text import count
from services.evidence.blocks import same_but_for_noise
from services.evidence.ledger import Ledger
from services.evidence.replay_table import ReplayRecord
from services.stats import difference, gates
from services.stats.sums import Sums
from services.tracking.row_split import RowSplit
from services.verdict.model import Cell, MetricRow
from services.verdict.paired import as_interval
from services.verdict.rule import Rule, Source
from services.verdict.traffic import arm_tail, bound_of

MOST_PAIRS = 100_000


@dataclass(frozen=True)
class ReplayRows:
    """The pairs of one replay that earned two rewards, each row once (its first pass); arrays of shape (n,).

    Rewards that differ in the last bits only are the same, as in the sums of pairs.
    """

    record: ReplayRecord
    row: NDArray[np.int64]
    reward_a: NDArray[np.float64]
    reward_b: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """Of the dataset: the start of its file's SHA-256."""
        return str(self.record.spec.get("digest", ""))


def replay_rows(ledger: Ledger, records: Sequence[ReplayRecord], pairs: int) -> list[ReplayRows]:
    """The rows of these replays, or none if there are more than MOST_PAIRS of them."""
    if pairs > MOST_PAIRS:
        return []
    found = []
    for record in records:
        rows = ledger.pair_rows(record.id)
        numbers, first = np.unique(rows.row, return_index=True)  # pairs come by row, then pass
        a, b = rows.reward_a[first], rows.reward_b[first]
        found.append(ReplayRows(record, numbers, a, np.where(same_but_for_noise(a, b), a, b)))
    return found


def by_training(
    rule: Rule, rows: Sequence[ReplayRows], splits: Callable[[], Sequence[RowSplit | None]], tail: str | None = None
) -> tuple[MetricRow, ...]:
    """The mean reward apart for rows that neither model was trained on and for rows that at least one was.

    Under the gates of all pairs: `tail`, what the flags say of all rows, hides the intervals of parts too, and each
    part has flags and gates of its own.

    Empty unless a run says that it was trained on rows of a replayed file. `splits` is asked only if there are rows.
    """
    if not rows:
        return ()
    known = [split for split in splits() if split is not None]
    seen: list[tuple[ReplayRows, NDArray[np.bool_]]] = []
    for part in rows:
        learned: set[int] = set()
        for split in known:
            if part.digest and split.sha256.startswith(part.digest):
                learned |= split.training
        if learned:
            seen.append((part, np.isin(part.row, np.fromiter(learned, dtype=np.int64))))
    if not seen:
        return ()
    fresh = _row(rule, "reward-unseen", "Mean reward, rows not trained on", seen, tail, trained=False)
    old = _row(rule, "reward-trained", "Mean reward, rows trained on", seen, tail, trained=True)
    return tuple(row for row in (fresh, old) if row is not None)


def learned(rows: Sequence[MetricRow], unknown: int = 0) -> str:
    """What has to be said beside a verdict when rows of its replay were used for training; "" when none were.

    `unknown` is the number of rows of which no run says whether it was trained on them.
    """
    found = {row.key: row for row in rows}
    fresh, old = found.get("reward-unseen"), found.get("reward-trained")
    if old is None:
        return ""
    said = f"{count(old.a.n)} of the replayed rows were used to train A or B"
    said += f", of {count(unknown)} rows of other data it is not known" if unknown else ""
    if fresh is None:
        return f"{said}, and no others were replayed."
    if fresh.difference is None:
        return f"{said}; for the {count(fresh.a.n)} others no interval is shown."
    if not fresh.difference.excludes_zero:
        return f"{said}; on the {count(fresh.a.n)} others no difference is shown yet."
    same = "B" if fresh.better == "b" else "A"
    return f"{said}; on the {count(fresh.a.n)} others {same} is better."


def _row(
    rule: Rule,
    key: str,
    label: str,
    parts: Sequence[tuple[ReplayRows, NDArray[np.bool_]]],
    tail: str | None,
    *,
    trained: bool,
) -> MetricRow | None:
    a = np.concatenate([part.reward_a[mask == trained] for part, mask in parts])
    b = np.concatenate([part.reward_b[mask == trained] for part, mask in parts])
    if not len(a):
        return None
    differences, of_a, of_b = Sums.of(b - a), Sums.of(a), Sums.of(b)
    if tail is None and bound_of(rule.reward) is None:
        tail = arm_tail(of_a, of_b, np.sort(a)[::-1], np.sort(b)[::-1])
    held = [tail] if tail else gates.enough_pairs(differences)
    found = difference.paired(differences, planned=rule.planned_pairs, alpha=rule.alpha_each)
    interval, note = (None, "; ".join(held)) if held else (as_interval(found), "")
    cells = Cell(float(a.mean()), len(a)), Cell(float(b.mean()), len(b))
    return MetricRow(key, label, Source.PAIRED, *cells, interval, True, note=note)
