"""Where does B lose? Parts of the replayed rows, by one feature at a time: below 0, above 0, or unlike the rest.

Three questions, which are not the same. B *loses* on a slice if its mean difference there is below 0, *gains* if it is
above, and a slice *stands out* if it is unlike the other rows: a B that is better everywhere may stand out where it is
better by less, and one that is worse everywhere stands out nowhere.

Fifty slices looked at one by one show something remarkable on a copy of A. So the false-discovery rate is controlled
over all slices of all features, for each of the three questions by itself, and what is shown is shrunk towards the
overall difference by as much as chance explains. If B loses nowhere, then nothing is named as a loss in at least 1 - q
of all replays.

For a replay that is over, or a look now and then: unlike the intervals of a test, these p-values are for one look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from services.stats.sequence import Floats
from services.stats.welch import welch_df

BINS = 5
MIN_ROWS = 50
"""Fewest rows in a slice, and in the rest, for the t distribution to be near enough."""
Q = 0.04
"""False-discovery rate of each question: of equal slices one is then named below 5 %, though t is near enough only."""
MOST_CATEGORIES = 50

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """One slice, differences B - A in the unit of the reward.

    Attributes:
        feature: its column.
        label: for people, such as `alcohol 9.4 to 10.4` or `color red`.
        low, high: the bin's edges, both included for the last bin, else high excluded; None for a category.
        n: rows in the slice.
        difference: mean difference in the slice.
        rest: mean difference in all other rows.
        se: standard error of difference - rest.
        p: two-sided, of "this slice is like the rest".
        q: smallest false-discovery rate at which the slice stands out (Benjamini-Hochberg).
        shrunk: the difference shrunk towards that of all rows (empirical Bayes); the one to show.
        p_loss, p_gain: one-sided, of "the difference here is 0 or above", and of "0 or below".
        q_loss, q_gain: the false-discovery rates at which the slice is a loss, or a gain.
    """

    feature: str
    label: str
    low: float | None
    high: float | None
    n: int
    difference: float
    rest: float
    se: float
    p: float
    q: float
    shrunk: float
    p_loss: float
    p_gain: float
    q_loss: float = 1.0
    q_gain: float = 1.0

    def loses(self, q: float) -> bool:
        """Whether B loses here: evidence of a difference below 0, which shrinkage leaves below 0."""
        return self.q_loss <= q and self.shrunk < 0

    def gains(self, q: float) -> bool:
        """Whether B gains here, likewise."""
        return self.q_gain <= q and self.shrunk > 0


def all_slices(
    differences: ArrayLike, features: Mapping[str, ArrayLike], *, bins: int = BINS, min_rows: int = MIN_ROWS
) -> list[FoundSlice]:
    """Every slice with its test, in the order of features and bins.

    Args:
        differences: B - A by row, shape (n,); rows with nan are left out.
        features: by name a column of shape (n,). Numbers are cut at quantiles into `bins`; text, booleans and numbers
            of at most `bins` values are taken as they are. Rows with a missing value are in no slice of that feature.
        min_rows: slices and rests with fewer rows are left out.

    Whether a slice stands out is Welch's t of slice against rest; whether B loses or gains there, Student's t of its
    mean against 0. Shrinkage is per feature: with slice means m_k of variances v_k and the
    overall mean m, shrunk_k = m + (m_k - m) tau^2/(tau^2 + v_k), tau^2 by the method of moments, never below 0.
    Sources: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995); Efron and Morris, JASA 70
    (1975); DerSimonian and Laird, Controlled Clinical Trials 7 (1986), for tau^2.

    Raises:
        ValueError: for a column of another length.
    """
    d = np.asarray(differences, dtype=np.float64)
    kept = ~np.isnan(d)
    overall = float(d[kept].mean()) if kept.any() else 0.0
    found: list[FoundSlice] = []
    for name, column in features.items():
        values = np.asarray(column)
        if values.shape != d.shape:
            raise ValueError(f"{name}: shape {values.shape}, differences {d.shape}")
        tested = [
            (label, edges, test)
            for label, edges, inside in _cut(name, values, kept, bins)
            if (test := _against_rest(d[kept], inside[kept], min_rows)) is not None
        ]
        means = np.array([test.mean for _, _, test in tested])
        variances = np.array([test.variance for _, _, test in tested])
        shrunk = shrink(means, variances, overall).tolist()
        for (label, edges, test), small in zip(tested, shrunk, strict=True):
            found.append(
                FoundSlice(
                    name,
                    label,
                    *edges,
                    test.n,
                    test.mean,
                    test.rest,
                    test.se,
                    test.p,
                    test.p,
                    float(small),
                    *test.sides(),
                )
            )
    apart, loss, gain = (
        benjamini_hochberg(np.array(values)).tolist()
        for values in ([s.p for s in found], [s.p_loss for s in found], [s.p_gain for s in found])
    )
    return [
        replace(s, q=q, q_loss=q_loss, q_gain=q_gain)
        for s, q, q_loss, q_gain in zip(found, apart, loss, gain, strict=True)
    ]


def worth_naming(
    differences: ArrayLike,
    features: Mapping[str, ArrayLike],
    *,
    q: float = Q,
    bins: int = BINS,
    min_rows: int = MIN_ROWS,
) -> list[FoundSlice]:
    """The slices on which B loses or gains, or which stand out, at `q` for each; B's worst first; often none."""
    found = all_slices(differences, features, bins=bins, min_rows=min_rows)
    return sorted((s for s in found if s.loses(q) or s.gains(q) or s.q <= q), key=lambda s: s.shrunk)


def benjamini_hochberg(p: Floats) -> Floats:
    """The smallest false-discovery rate at which each hypothesis is rejected: min over larger p of p m / rank."""
    order = np.argsort(p, kind="stable")
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    rates = np.empty(len(p))
    rates[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return rates


def shrink(means: Floats, variances: Floats, overall: float) -> Floats:
    """Means of shape (k,) pulled towards `overall`, by more where chance explains more of how they differ."""
    if len(means) < 2 or not np.all(variances > 0):
        return means
    weights = 1 / variances
    heterogeneity = float((weights * (means - (weights @ means) / weights.sum()) ** 2).sum())
    scale = float(weights.sum() - (weights @ weights) / weights.sum())
    tau2 = max(0.0, (heterogeneity - (len(means) - 1)) / scale)
    return np.asarray(overall + (means - overall) * tau2 / (tau2 + variances))


@dataclass(frozen=True, slots=True)
class _Test:
    """A slice against the rest: rows, mean, variance of that mean, the rest's mean, their distance's error and p."""

    n: int
    mean: float
    variance: float
    rest: float
    se: float
    p: float

    def sides(self) -> tuple[float, float]:
        """p of "0 or above" and of "0 or below" for the mean; 1 and 1 where all rows differ by the same."""
        if not self.variance > 0:
            return 1.0, 1.0
        t = self.mean / float(np.sqrt(self.variance))
        return float(stdtr(self.n - 1, t)), float(stdtr(self.n - 1, -t))


def _against_rest(d: Floats, inside: Mask, min_rows: int) -> _Test | None:
    part, rest = d[inside], d[~inside]
    if min(len(part), len(rest)) < max(2, min_rows):
        return None
    variance, other = float(part.var(ddof=1)) / len(part), float(rest.var(ddof=1)) / len(rest)
    gap, se = float(part.mean() - rest.mean()), float(np.sqrt(variance + other))
    # Rows that all differ by the same, in the slice and beside it, say nothing about rows to come.
    p = 2 * float(stdtr(welch_df(variance, len(part) - 1, other, len(rest) - 1), -abs(gap) / se)) if se > 0 else 1.0
    return _Test(len(part), float(part.mean()), variance, float(rest.mean()), se, p)


def _cut(
    name: str, values: NDArray[np.generic], kept: Mask, bins: int
) -> Iterator[tuple[str, tuple[float | None, float | None], Mask]]:
    """Label, edges and rows of each slice of a column."""
    if values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        there = kept & np.isfinite(numbers)
        distinct = np.unique(numbers[there])
        if len(distinct) > bins:
            yield from _quantile_bins(name, numbers, there, bins)
        else:
            for value in distinct.tolist():
                yield f"{name} {value:g}", (None, None), there & (numbers == value)
        return
    words = np.array(["" if _missing(value) else str(value) for value in values.tolist()])
    labels, counts = np.unique(words[kept & (words != "")], return_counts=True)
    for label in labels[np.argsort(-counts, kind="stable")][:MOST_CATEGORIES].tolist():
        yield f"{name} {label}", (None, None), kept & (words == label)


def _quantile_bins(
    name: str, numbers: Floats, there: Mask, bins: int
) -> Iterator[tuple[str, tuple[float | None, float | None], Mask]]:
    """Bins of about equal numbers of rows; fewer where many rows share a value."""
    edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, bins + 1)))
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        last = high == edges[-1]
        inside = there & (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        yield f"{name} {low:.4g} to {high:.4g}", (low, high), inside


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))
