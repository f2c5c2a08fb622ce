"""Slices: found where they were planted, shrunk by as much as chance explains, silent when there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, ttest_ind

from services.stats.slices import FoundSlice, Q, all_slices, benjamini_hochberg, shrink
from tests.support.wine import TARGET, wine_frame

WINE = wine_frame().drop(columns=TARGET)
FEATURES = {str(name): WINE[name].to_numpy() for name in WINE.columns}
ROWS = len(WINE)


def standing_out(differences, features) -> list[FoundSlice]:
    """The slices that are unlike the rest, the one where B does worst first."""
    return sorted((s for s in all_slices(differences, features) if s.q <= Q), key=lambda s: s.shrunk)


def test_a_planted_loss_is_found_where_it_is():
    """B is a little better everywhere and worse for strong wines."""
    rng = np.random.default_rng(1)
    alcohol = FEATURES["alcohol"]
    strong = alcohol >= np.quantile(alcohol, 0.8)
    d = rng.normal(np.where(strong, -0.3, 0.1), 1)
    worst = standing_out(d, FEATURES)[0]
    assert worst.feature == "alcohol"
    assert worst.low == pytest.approx(np.quantile(alcohol, 0.8))
    assert worst.high == alcohol.max()
    assert worst.n == strong.sum()
    assert worst.difference == pytest.approx(d[strong].mean())
    assert worst.rest == pytest.approx(d[~strong].mean())
    assert worst.label == f"alcohol {worst.low:.4g} to {worst.high:.4g}"
    # Shrunk towards the mean of all rows, but not beyond it.
    assert worst.difference < worst.shrunk < d.mean()


def test_each_slice_is_welchs_test_against_the_rest():
    d = np.random.default_rng(2).normal(size=ROWS)
    tested = all_slices(d, FEATURES)
    assert len(tested) == 5 * len(FEATURES)
    for one in tested[::9]:
        column = FEATURES[one.feature]
        inside = (column >= one.low) & ((column < one.high) | (one.high == column.max()))
        assert one.n == inside.sum()
        assert one.p == pytest.approx(ttest_ind(d[inside], d[~inside], equal_var=False).pvalue)
    assert [one.q for one in tested] == pytest.approx(false_discovery_control([one.p for one in tested]))


def test_silent_when_nothing_stands_out():
    """A against A in all but the noise, 400 replays: something is named in no more than 5 % of them."""
    rng = np.random.default_rng(3)
    sample = {name: column[:800] for name, column in FEATURES.items()}
    named = sum(bool(standing_out(0.2 + rng.standard_t(5, 800), sample)) for _ in range(400))
    assert named <= 400 * 0.05


def test_a_copy_of_a_model_names_nothing():
    assert standing_out(np.zeros(ROWS), FEATURES) == []
    assert standing_out(np.full(ROWS, 0.25), FEATURES) == []


def test_categories():
    rng = np.random.default_rng(4)
    color = np.array([*["red"] * 600, *["white"] * 500, *["rose"] * 20, *[None] * 80], dtype=object)
    d = rng.normal(np.where(color == "white", -0.5, 0.5), 1)
    tested = all_slices(d, {"color": color, "organic": np.arange(1200) % 2 == 0, "stars": np.arange(1200) % 3})
    # Twenty rows are too few, and a missing value is no category.
    assert [one.label for one in tested] == [
        *("color red", "color white", "organic False", "organic True", "stars 0", "stars 1", "stars 2")
    ]
    assert standing_out(d, {"color": color})[0].label == "color white"


def test_many_equal_values_make_fewer_bins():
    column = np.array([0.0] * 700 + list(range(1, 301)), dtype=float)
    tested = all_slices(np.random.default_rng(5).normal(size=1000), {"sugar": column})
    assert sum(one.n for one in tested) == 1000
    assert len({(one.low, one.high) for one in tested}) == len(tested) < 5


def test_missing_rows_are_left_out():
    rng = np.random.default_rng(6)
    d, column = rng.normal(size=1000), rng.normal(size=1000)
    d[::10] = np.nan
    column[5::10] = np.nan
    tested = all_slices(d, {"x": column})
    assert sum(one.n for one in tested) == 800
    assert all(np.isfinite(one.p) for one in tested)


def test_nothing_to_slice():
    assert all_slices([], {"x": []}) == []
    assert standing_out([1.0, 2.0], {}) == []
    assert standing_out([1.0, 2.0], {"x": [1, 2]}) == []
    with pytest.raises(ValueError, match="shape"):
        all_slices([1.0, 2.0], {"x": [1]})


def test_shrinkage():
    """Means that differ by less than their errors explain collapse; those that differ by far more stay."""
    alike = shrink(np.array([0.1, 0.0, -0.1]), np.full(3, 1.0), 0.02)
    assert alike.tolist() == [0.02] * 3
    apart = np.array([5.0, 0.0, -5.0])
    np.testing.assert_allclose(shrink(apart, np.full(3, 1e-3), 0.0), apart, rtol=1e-3)
    # A noisy mean moves further than a sure one at the same distance.
    uneven = shrink(np.array([2.0, -2.0, 1.0, -1.0]), np.array([1.0, 0.1, 0.1, 0.1]), 0.0)
    assert abs(uneven[0]) < abs(uneven[1])


def test_shrunk_is_closer_to_the_truth():
    """Brute force: slices with true effects of sd .2, seen with errors of .3."""
    rng = np.random.default_rng(7)
    truth = rng.normal(0, 0.2, (500, 8))
    seen = truth + rng.normal(0, 0.3, truth.shape)
    small = np.array([shrink(row, np.full(8, 0.09), float(row.mean())) for row in seen])
    assert np.mean((small - truth) ** 2) < 0.6 * np.mean((seen - truth) ** 2)


def test_benjamini_hochberg_hand_worked():
    assert benjamini_hochberg(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert benjamini_hochberg(np.array([])).tolist() == []
