"""Formulas typed by people: what they may say, what they may not, and that none of them hangs or reaches anything."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidInput, InvalidPayload
from services.traffic.formula import FUNCTIONS, MAX_LENGTH, Formula, sampled


@pytest.mark.parametrize(
    ("text", "truth", "prediction", "expected"),
    [
        ("1 / (1 + ((y - y_pred) / 0.5) ** 2)", 6, 5.5, 0.5),
        ("-abs(y - y_pred)", 3, 5, -2.0),
        ("max(0, 1 - abs(y - y_pred))", 3, 5, 0.0),
        ("1 if abs(y - y_pred) < 0.5 else 0", 3, 3.4, 1.0),
        ("5 * (y_pred < y) + 1 * (y_pred >= y)", 3, 5, 1.0),
        ("1 if y == 'red' and y_pred == 'red' else 0", "red", "red", 1.0),
        ("y == y_pred or not y_pred", True, False, 1.0),
        ("  sqrt(y * y_pred)  ", 4, 9, 6.0),
    ],
)
def test_by_hand(text: str, truth: object, prediction: object, expected: float) -> None:
    assert Formula(text)(truth, prediction) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["y_pred / 0", "log(-1) * y_pred", "exp(1000) * y_pred", "(-1) ** 0.5 + y_pred", "1e999 - 1e999 + y_pred"]
)
def test_where_the_arithmetic_has_no_value_it_is_nan(text: str) -> None:
    assert math.isnan(Formula(text)(1.0, 2.0))


@pytest.mark.parametrize(
    "text",
    [
        "y_pred.__class__",
        "y_pred.real",
        "__import__('os').system('true')",
        "open('x') + y_pred",
        "eval('y_pred')",
        "(lambda: y_pred)()",
        "[y_pred for _ in 'abc']",
        "[y_pred][0]",
        "{'a': y_pred}",
        "f'{y_pred}'",
        "(a := y_pred)",
        "y_pred; y",
        "import os",
        "y_pred << 99999",
        "y_pred % 2",
        "max(y_pred, key=abs)",
        "max(*y_pred)",
        "abs",
        "x + y_pred",
        "y_pred is None",
        "b'1' + y_pred",
    ],
)
def test_anything_but_arithmetic_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Formula(text)
    assert "y_pred" in caught.value.hint or caught.value.hint == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1/y_pred if y >", "an `if` lacks its `else`"),
        ("abs(y - y_pred", "a bracket is not closed"),
        ("y_pred + y)", "the bracket at character 11 closes none"),
        ("y_pred +", "it ends too early"),
        ("2 * y_pred y", "it cannot be read from character 12 on"),
        ("max(y y_pred)", "it cannot be read"),
        ("y_pred\n3", "it cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_where_the_parser_knows_it(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Formula(text)
    assert caught.value.sentence == f"“{text}” is not a formula: {words}."


def test_the_caret_is_explained() -> None:
    with pytest.raises(InvalidInput) as caught:
        Formula("(y - y_pred)^2")
    assert "**" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "1 +",
        "y",
        "3",
        "y_pred" + " + 1" * 60,
        "-" * (MAX_LENGTH - 10) + "y_pred",
        "(" * 95 + "y_pred" + ")" * 90,
    ],
)
def test_empty_broken_constant_long_and_deep_ones_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Formula(text)


def test_large_powers_cost_nothing() -> None:
    """Of whole numbers, each of these would fill the memory or take hours."""
    for text in ("9 ** 9 ** 9 ** 9 * y_pred", "y_pred ** 99999999 ** 99", "9999999999 ** 9999999999 + y_pred"):
        assert not math.isfinite(Formula(text)(10.0, 10.0))


@pytest.mark.parametrize("text", ["'a' * 999999999 + y_pred", "y_pred + 'a'", "-y_pred", "abs(y_pred)", "min(y_pred)"])
def test_text_is_no_number(text: str) -> None:
    with pytest.raises(InvalidPayload):
        Formula(text)("red", "red" if text != "min(y_pred)" else 1.0)


LEAVES = st.sampled_from(["y", "y_pred", "0", "1", "0.5", "1e308", "-3"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "<", "=="]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(st.sampled_from(sorted(set(FUNCTIONS) - {"min", "max"})), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
    ),
    max_leaves=8,
)


@given(TREES, st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_whatever_is_accepted_gives_a_float(tree: str, truth: float, prediction: float) -> None:
    text = f"y_pred * {tree}"
    if len(text) <= MAX_LENGTH:
        assert isinstance(Formula(text)(truth, prediction), float)


def test_it_is_tried_on_samples() -> None:
    assert min(sampled("exp(-abs(y - y_pred))")) >= 0
    assert min(sampled("1 - abs(y - y_pred)")) < 0
    assert sampled("abs(y_pred)")
    assert len(sampled("1 / (y - y_pred)")) == len(sampled("y - y_pred")) - 14, "the pairs of equals have no value"
