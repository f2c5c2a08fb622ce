"""What is kept of many values so that none of them is needed again: their number, sum, sum of squares, largest.

Sums of disjoint parts add up, so a ledger can keep one per block of rows and never read the rows for a mean, a
variance or an interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Sums:
    """Sufficient statistics of n values, in the unit of the values (squares: that unit squared).

    Attributes:
        n: how many values, 0 or more.
        total: their sum.
        squares: the sum of their squares.
        largest: the largest absolute value; None if it was not kept or there are no values.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    largest: float | None = None

    @classmethod
    def of(cls, values: ArrayLike) -> Sums:
        """Of all values of an array of any shape; nan counts as missing and is left out."""
        found = np.asarray(values, dtype=np.float64).ravel()
        found = found[~np.isnan(found)]
        if not found.size:
            return cls()
        return cls(int(found.size), float(found.sum()), float(found @ found), float(np.abs(found).max()))

    @classmethod
    def merge(cls, parts: Iterable[Sums]) -> Sums:
        """Of the union of disjoint parts: as `plus` one after the other, without a value for each step between."""
        n, total, squares, largest, known = 0, 0.0, 0.0, 0.0, True
        for part in parts:
            n, total, squares = n + part.n, total + part.total, squares + part.squares
            if part.n and part.largest is None:
                known = False
            elif part.n and part.largest is not None and part.largest > largest:
                largest = part.largest
        return cls(n, total, squares, largest if n and known else None)

    def plus(self, other: Sums) -> Sums:
        """Of these values and the other's. `largest` stays known only if both non-empty parts know theirs."""
        known = [part.largest for part in (self, other) if part.n]
        largest = None if not known or None in known else max(value for value in known if value is not None)
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares, largest)

    @property
    def mean(self) -> float | None:
        """None without values."""
        return self.total / self.n if self.n else None

    @property
    def spread(self) -> float:
        """Sum of squared deviations from the mean, never below 0."""
        return max(0.0, self.squares - self.total * self.total / self.n) if self.n else 0.0

    @property
    def variance(self) -> float | None:
        """Sample variance with divisor n - 1; None for fewer than two values.

        Taken from sums, it is exact to about 1e-15 of the squared mean: a spread below 1e-7 of the mean is noise.
        """
        return self.spread / (self.n - 1) if self.n > 1 else None

    @property
    def sd(self) -> float | None:
        variance = self.variance
        return None if variance is None else math.sqrt(variance)

    @property
    def magnitude(self) -> float:
        """The sum of absolute values, or a lower bound of it.

        |total| is exact when all values have one sign. Otherwise sum x^2 <= largest * sum |x| gives a bound that does
        not cancel.
        """
        return max(abs(self.total), self.squares / self.largest if self.largest else 0.0)

    @property
    def kish(self) -> float:
        """Kish's effective number of values, (sum |x|)^2 / sum x^2: how many equal values would weigh as much.

        k for k ones among zeros, n for n equal values, near 1 when a single value dominates. For values of both signs
        it is a lower bound. Kish, Survey Sampling (1965), 11.7.
        """
        return self.magnitude**2 / self.squares if self.squares > 0 else 0.0

    @property
    def top_share(self) -> float | None:
        """The largest value's share of the sum of all, within 0 to 1; an upper bound for values of both signs.

        None if the largest is not known or all values are 0.
        """
        magnitude = self.magnitude
        return self.largest / magnitude if self.largest is not None and magnitude > 0 else None
