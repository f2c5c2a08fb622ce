"""What counts as shown by so many simulated experiments: exact limits for a share, not the share itself."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import beta

CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `runs` experiments."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        return self.hits / self.runs

    @property
    def at_most(self) -> float:
        """Clopper and Pearson's upper limit: the true share is below it with 99 % confidence."""
        return float(beta.ppf(CONFIDENCE, self.hits + 1, self.runs - self.hits)) if self.hits < self.runs else 1.0

    @property
    def at_least(self) -> float:
        """The lower limit, likewise."""
        return float(beta.ppf(1 - CONFIDENCE, self.hits, self.runs - self.hits + 1)) if self.hits else 0.0

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} %" if self.value >= 0.001 or not self.hits else f"{100 * self.value:.2f} %"
