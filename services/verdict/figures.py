"""Single figures of an assessment as page, report and command line write them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.domain.text import NONE, THIN, alike, latency, number, percent
from services.domain.values import real, single
from services.verdict.model import Disagreement, Interval, MetricRow

POINTS = "points"
"""The unit of a difference of shares: 3 % against 1 % is 2 points more, and not 200 % more."""


def value(amount: float | None, unit: str) -> str:
    """A metric's value: 0.7258, 4.3 ms, 1.2 %."""
    if unit == "share":
        return percent(amount, 2)
    return latency(amount) if unit == "ms" else number(amount, 4)


def measured(row: MetricRow) -> tuple[str, str]:
    """A's and B's cell of the table, alike; with `about` where they were interpolated in buckets."""
    values = (row.a.value, row.b.value)
    if row.key == "p95":
        a, b = (NONE if v is None else f"about {latency(float(f'{v:.2g}'))}" for v in values)
    elif row.unit:
        a, b = (value(v, row.unit) for v in values)
    else:
        a, b = alike(values, 4)
    return a, b


def answers(found: Sequence[Disagreement]) -> list[tuple[str, str]]:
    """What A and B answered on each of these rows: alike where all are numbers, else as short as they can be read."""
    given = [single(said) for d in found for said in (d.prediction_a, d.prediction_b)]
    known = [real(one) for one in given]
    said = [shown(one) for one in given] if None in known else alike(known, 4)
    return list(zip(said[::2], said[1::2], strict=True))


def rewards(found: Sequence[Disagreement]) -> list[tuple[str, str]]:
    """What A and B earned on each of these rows, all alike."""
    said = alike([earned for d in found for earned in (d.reward_a, d.reward_b)], 4)
    return list(zip(said[::2], said[1::2], strict=True))


def shown(answer: object) -> str:
    """A truth or a prediction, as short as it can be read."""
    answer = single(answer)
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return NONE if answer is None else str(answer)
    return number(answer, 4)


def change(amount: float | None, unit: str) -> str:
    """A difference with its sign: +0.004, −1.3 ms, +2.1 points."""
    if amount is None or amount != amount:  # nan
        return NONE
    said = _bare(amount, unit)
    return f"{'+' if amount > 0 else ''}{said}{_tail(unit, one=said in ('1', '−1'))}"


def changes(amounts: Sequence[float | None]) -> list[str]:
    """Differences of one measure beside each other, with the same number of decimals."""
    return [_signed(value, said) for value, said in zip(amounts, alike(amounts), strict=True)]


def middle(interval: Interval | None, unit: str) -> str:
    """The estimate with its sign, and with as many decimals as its `bounds`."""
    if interval is None or interval.estimate != interval.estimate:
        return NONE
    said = _ends(interval, unit)[0]
    return f"{said}{_tail(unit, one=said in ('+1', '−1'))}"


def bounds(interval: Interval, unit: str) -> str:
    """`+0.0028 to +0.0052`; the unit once, at the end."""
    _, low, high = _ends(interval, unit)
    return f"{low} to {high}{_tail(unit)}"


def _ends(interval: Interval, unit: str) -> list[str]:
    """Estimate, low and high, without the unit."""
    return changes([_of_unit(x, unit) for x in (interval.estimate, interval.low, interval.high)])


def _signed(value: float | None, said: str) -> str:
    return f"+{said}" if value is not None and value > 0 and said.strip("0.") else said


def _of_unit(amount: float, unit: str) -> float:
    return amount * 100 if unit == "share" else amount


def _bare(amount: float, unit: str) -> str:
    return number(_of_unit(amount, unit))


def _tail(unit: str, *, one: bool = False) -> str:
    if unit == "share":
        return f"{THIN}{POINTS.removesuffix('s') if one else POINTS}"
    return f"{THIN}{unit}" if unit else ""


def p_value(p: float | None) -> str:
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else number(p, 2)


def level(share: float) -> str:
    return percent(share)
