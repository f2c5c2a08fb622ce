"""A reward typed by a person: an expression over y (truth) and y_pred (prediction), evaluated without any trust in it.

simpleeval walks the expression instead of running it as Python; here the language is narrowed further to arithmetic,
comparisons and a few functions. Nothing in it can loop, index, reach an attribute or build something large: powers are
floating-point, text cannot be multiplied, and the length is limited.
"""

from __future__ import annotations

import ast
import math
import numbers
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from services.errors import InvalidInput, InvalidPayload

MAX_LENGTH = 200
MAX_PARTS = 100
"""Nodes of the syntax tree: also bounds its depth."""

VARIABLES = ("y", "y_pred")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "tanh": math.tanh,
}
HINT = f"Use y, y_pred, numbers, + - * / **, comparisons, `a if b else c` and {', '.join(FUNCTIONS)}."

SAMPLES = (-1000.0, -10.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 6.0, 10.0, 100.0, 1000.0)
"""Truths and predictions on which a formula is tried, each with each."""


def _arithmetic(act: Callable[..., Any]) -> Callable[..., Any]:
    """The operator for numbers only: text would be repeated or joined."""

    def apply(*values: Any) -> Any:
        for value in values:
            if not isinstance(value, numbers.Real):
                raise TypeError(f"“{value}” is not a number")
        return act(*values)

    return apply


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(operator.truediv),
    ast.Pow: _arithmetic(math.pow),  # of floats: 9**9**9 of whole numbers would fill the memory
    ast.USub: _arithmetic(operator.neg),
    ast.UAdd: _arithmetic(operator.pos),
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.IfExp, ast.Call, ast.Name,
    ast.Load, ast.Constant, *OPERATORS,
)  # fmt: skip


class Formula:
    """An expression that has been read and found harmless. Calling it never runs long and changes nothing."""

    def __init__(self, text: str) -> None:
        """Read `text`. Raises InvalidInput that says what cannot be."""
        self.text = text.strip()
        self._tree = _read(self.text)

    def __call__(self, truth: object, prediction: object) -> float:
        """The value for one row; nan where the arithmetic has none (1/0, log of a negative number, an overflow).

        Raises InvalidPayload if a text is used as a number or the result is none.
        """
        evaluator = SimpleEval(OPERATORS, FUNCTIONS, {"y": _operand(truth), "y_pred": _operand(prediction)})
        try:
            value = evaluator.eval(self.text, self._tree)
        except (ZeroDivisionError, OverflowError, ValueError):
            return math.nan
        except (TypeError, InvalidExpression, RecursionError) as error:
            raise InvalidPayload("reward", f"the formula “{self.text}” cannot be worked out: {error}", HINT) from error
        if not isinstance(value, numbers.Real):
            raise InvalidPayload("reward", f"the formula gives “{value}”, which is not a number", HINT)
        try:
            return float(value)
        except OverflowError:  # a whole number beyond the floats
            return math.nan


@lru_cache(maxsize=256)
def formula(text: str) -> Formula:
    """The formula in `text`, read once. Raises InvalidInput."""
    return Formula(text)


@lru_cache(maxsize=256)
def sampled(text: str) -> tuple[float, ...]:
    """Its finite values on SAMPLES x SAMPLES; maybe none, as a formula may be about text. Raises InvalidInput."""
    found = []
    for truth in SAMPLES:
        for prediction in SAMPLES:
            try:
                value = formula(text)(truth, prediction)
            except InvalidPayload:
                continue
            if math.isfinite(value):
                found.append(value)
    return tuple(found)


def _read(text: str) -> ast.expr:
    if not text:
        raise InvalidInput("The formula is empty.", HINT)
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"The formula has {len(text)} characters; {MAX_LENGTH} are allowed.")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise InvalidInput(f"“{text}” is not a formula: {_unread(error, text)}.", HINT) from error
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_PARTS:
        raise InvalidInput(f"The formula has {len(nodes)} parts; {MAX_PARTS} are allowed.")
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        _check(node, text, is_called=id(node) in called)
    if not any(isinstance(node, ast.Name) and node.id == "y_pred" for node in nodes):
        raise InvalidInput(f"“{text}” does not depend on y_pred, so every model would earn the same.", HINT)
    return tree.body


def _unread(error: Exception, text: str) -> str:
    """Why a text cannot be read, and where, as far as the parser says: of most errors it names the start."""
    said, place = (error.msg, error.offset or 0) if isinstance(error, SyntaxError) else ("", 0)
    if said.endswith("was never closed"):
        return "a bracket is not closed"
    if said.startswith("expected 'else'"):
        return "an `if` lacks its `else`"
    if said.startswith(("unmatched", "closing parenthesis")):
        return f"the bracket at character {place} closes none"
    if said == "invalid syntax" and isinstance(error, SyntaxError) and error.lineno == 1:
        return f"it cannot be read from character {place} on" if 0 < place <= len(text) else "it ends too early"
    return "it cannot be read"


def _check(node: ast.AST, text: str, *, is_called: bool) -> None:
    """Raise InvalidInput for anything but arithmetic."""
    if isinstance(node, ast.BitXor):
        raise InvalidInput(f"“{text}” uses ^, which is no power here.", "Write ** for a power.")
    if not isinstance(node, _ALLOWED):
        what = type(node).__name__
        raise InvalidInput(f"“{text}” uses something that a formula may not ({what}).", HINT)
    if isinstance(node, ast.Constant) and not isinstance(node.value, int | float | str):
        raise InvalidInput(f"“{text}” uses the value {node.value!r}, which a formula may not.", HINT)
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise InvalidInput(f"“{text}” calls something that is no plain function.", HINT)
        if node.func.id not in FUNCTIONS:
            raise InvalidInput(f"A formula knows no function “{node.func.id}”.", HINT)
    if isinstance(node, ast.Name) and not is_called and node.id not in VARIABLES:
        raise InvalidInput(f"A formula knows no “{node.id}”.", HINT)


def _operand(value: object) -> object:
    """Numbers as floats, so that no whole number can grow without bound; text and nothing as they are."""
    return float(value) if isinstance(value, numbers.Real) else value
