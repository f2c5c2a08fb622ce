"""From what a start left behind (its log, the states of its containers or process, events) to a known failure.

The knowledge is the table in `catalogue`; this only looks things up in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from services.domain import Diagnosis
from services.errors import without_secrets
from services.startup.catalogue import CATALOGUE
from services.startup.known import Known, Where

EVIDENCE_CHARS = 300
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Traces:
    """What one start left behind, each oldest first.

    Attributes:
        log: lines of its log, of the last life if it was restarted.
        states: states of its pod, containers or process, in the words of the one who keeps them.
        events: messages of events since the last change.
        conditions: what the conditions of its Deployments complain about now.
        store_secrets: names of the Secrets by which its model is fetched.
    """

    log: Sequence[str] = ()
    states: Sequence[str] = ()
    events: Sequence[str] = ()
    conditions: Sequence[str] = ()
    store_secrets: Collection[str] = ()

    def of(self, where: Where) -> Sequence[str]:
        return {
            Where.LOG: self.log,
            Where.STATE: self.states,
            Where.EVENT: self.events,
            Where.CONDITION: self.conditions,
            Where.EVENT_OR_CONDITION: (*self.events, *self.conditions),
        }[where]


def recognise(
    traces: Traces, *, larger_budget_s: int | None = None, known: Iterable[Known] = CATALOGUE
) -> Diagnosis | None:
    """The first failure of the table all of whose signs are there, or None.

    Args:
        larger_budget_s: the start budget to propose where more time is the remedy.
    """
    for one in known:
        found = _match(one, traces)
        if found is not None:
            values, evidence = found
            return Diagnosis(
                key=one.key,
                what=one.what.format_map(values),
                remedy=one.remedy.format_map(values),
                evidence=without_secrets(evidence)[:EVIDENCE_CHARS],
                budget_s=larger_budget_s if one.needs_time else None,
            )
    return None


def _match(known: Known, traces: Traces) -> tuple[dict[str, str], str] | None:
    """The named groups of all signs and the line of the first, or None if one sign is missing.

    What is no log may have several lines: Kyverno and Gatekeeper give each violation one of its own.
    """
    values: dict[str, str] = _Values()
    evidence = ""
    for sign in known.signs:
        for line in reversed(traces.of(sign.where)):
            plain = _ANSI.sub("", line) if sign.where is Where.LOG else " ".join(line.split())
            if match := sign.pattern.search(plain):
                values.update({k: v for k, v in match.groupdict().items() if v})
                evidence = evidence or plain.strip()
                break
        else:
            return None
    if known.opens_store and values["name"] not in traces.store_secrets:
        return None
    return values, evidence


class _Values(dict[str, str]):
    """What a pattern did not find reads as three dots."""

    def __missing__(self, key: str) -> str:
        return "…"
