"""Rewards to simulate with: well-behaved, rare, skewed, and the tutorial's in its transforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

RESIDUAL_SD = 0.75
"""Of the prediction error e where a reward is made from one; about that of the wine models."""


@dataclass(frozen=True)
class Family:
    """`draw(rng, shape)` gives independent rewards.

    Attributes:
        per_look: requests between two looks: more where the gates take longer to open.
        bound: the largest possible reward, if there is one and none is negative.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    per_look: int = 50
    bound: float | None = None


def of_residuals(
    name: str, reward: Callable[[np.ndarray], np.ndarray], sd: float = RESIDUAL_SD, bound: float | None = None
) -> Family:
    """Rewards as a function of e² with e normal of mean 0."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        e = rng.standard_normal(shape)
        e *= sd
        e *= e
        return reward(e)

    return Family(name, draw, bound=bound)


def bounded(squared: np.ndarray) -> np.ndarray:
    return 1 / (1 + squared)


def mean_bounded(sd: float) -> float:
    """The expectation of 1/(1 + e²), e normal with that sd, by quadrature."""
    return float(quad(lambda e: norm.pdf(e, scale=sd) / (1 + e * e), -10 * sd, 10 * sd)[0])


def normal(mean: float = 1.0) -> Family:
    return Family("normal", lambda rng, shape: rng.normal(mean, 1, shape))


def bernoulli(rate: float) -> Family:
    per_look = 50 if rate > 0.05 else 200
    return Family(f"hit or miss, {rate:g}", lambda rng, shape: (rng.random(shape) < rate).astype(float), per_look, 1.0)


FAMILIES = (
    normal(),
    bernoulli(0.1),
    bernoulli(0.01),
    Family("lognormal(0, 1)", lambda rng, shape: rng.lognormal(0, 1, shape)),
    of_residuals("min(1/e², 500)", lambda squared: np.minimum(1 / squared, 500), bound=500.0),
    of_residuals("log(1 + 1/e²)", lambda squared: np.log1p(1 / squared)),
    of_residuals("1/(1 + e²)", bounded, bound=1.0),
    of_residuals("−e²", np.negative),
)
TUTORIAL = of_residuals("1/e²", lambda squared: 1 / squared)
