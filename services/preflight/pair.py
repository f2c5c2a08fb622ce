"""Whether one request fits two models, and their answers compare. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.domain import Finding, Severity
from services.schema import Column, Signature

TOPIC = "columns"
SHOWN = 6


def compare(first: Signature, second: Signature, names: tuple[str, str]) -> Iterator[Finding]:
    """Look at the signatures of two arms, called `names`."""
    differences = list(_inputs(first, second, names))
    yield from differences
    if first.outputs and second.outputs and first.outputs != second.outputs:
        yield Finding(
            Severity.WARNS,
            TOPIC,
            f"Their outputs differ: {', '.join(first.outputs)} of {names[0]}, "
            f"{', '.join(second.outputs)} of {names[1]}.",
            "A reward that fits one may not fit the other: look at a single request to both first.",
        )
    elif not differences and (first.columns or first.tensors):
        yield Finding(Severity.FINE, TOPIC, f"{names[0]} and {names[1]} take the same inputs.")


def _inputs(one: Signature, two: Signature, names: tuple[str, str]) -> Iterator[Finding]:
    first, second = names
    if bool(one.columns) != bool(two.columns):
        if one == Signature() or two == Signature():
            silent = first if one == Signature() else second
            yield _warn(f"{silent} does not declare its inputs.", "Log it with a signature, so that it can be checked.")
        else:
            yield _warn("one wants named columns and the other an array.", "Requests can fit only one of them.")
        return
    if one.tensors != two.tensors:
        yield _warn("their tensors differ in type, shape or name.", "Requests can fit only one of them.")
    mine, others = {c.name: c for c in one.columns}, {c.name: c for c in two.columns}
    only_first = [_named(c) for c in one.columns if c.name not in others]
    only_second = [_named(c) for c in two.columns if c.name not in mine]
    parts = [f"only {who} wants {_listed(only)}" for who, only in ((first, only_first), (second, only_second)) if only]
    types = [
        f"{c.name} is {c.type} for {first} and {others[c.name].type} for {second}"
        for c in one.columns
        if c.name in others and c.type != others[c.name].type
    ]
    if types:
        parts.append(_listed(types))
    if parts:
        mend = "Send rows with the columns of both; each model takes its own."
        yield _warn(f"{'; '.join(parts)}.", mend if not types else "Requests must hold values that fit both types.")


def _warn(words: str, mend: str) -> Finding:
    return Finding(Severity.WARNS, TOPIC, f"The arms take different inputs: {words}", mend)


def _named(column: Column) -> str:
    return column.name if column.required else f"{column.name} (optional)"


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
