"""A decision as a value: what was decided, by whom, on which evidence, and how far it has been carried out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.verdict.model import Assessment, Call


class Kind(StrEnum):
    """The three ways to decide a test; also the kind of the entry in the history."""

    PROMOTE = "promote"
    KEEP = "keep"
    END = "end-test"


class State(StrEnum):
    """Doing and undoing go on by themselves until they are done and undone; nothing stays in between."""

    DOING = "doing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"

    @property
    def final(self) -> bool:
        return self in (State.DONE, State.UNDONE)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    Attributes:
        winner, loser: names of the arms when it was taken; both empty when a test ends without a winner.
        champion: the registered version that the alias names by this decision, such as `wine v4`; empty without one.
        verdict: what the evidence called for.
        summary: the evidence in one sentence.
        overridden: what spoke against it and was overridden on purpose, in words.
        gaps: what could not be written to MLflow or was left as somebody else made it, in words.
        waiting: what an unfinished decision waits for, in words.
        undone_who, undone_why: who took it back; empty while it stands.
        steps: keys of the steps that are done, in order.
        did: what the steps forward did, a sentence each; those that had nothing to do are left out.
        took_back: the same of the steps that take it back.
    """

    id: int
    namespace: str
    deployment: str
    kind: Kind
    state: State
    test: int
    who: str
    why: str
    at: datetime
    winner: str
    loser: str
    verdict: str
    summary: str
    champion: str = ""
    overridden: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    waiting: str = ""
    undone_who: str = ""
    undone_why: str = ""
    steps: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    took_back: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        return self.state.final


def obstacles(kind: Kind, assessment: Assessment) -> tuple[str, ...]:
    """What speaks against deciding so now, in words; empty when nothing does.

    A red check speaks against naming any winner. A verdict for the other arm speaks against it too, and B is promoted
    only on the verdict “Ship B”: while it is open, keeping A is the safe choice and promoting B is not. A test may
    always be ended without a winner.
    """
    if kind is Kind.END:
        return ()
    against = tuple(assessment.blockers)
    contrary = assessment.call is not Call.SHIP if kind is Kind.PROMOTE else assessment.call is Call.SHIP
    if contrary and not (against and assessment.call is Call.DISTRUST):
        against += (f"The verdict is another. {assessment.headline}",)
    return against
