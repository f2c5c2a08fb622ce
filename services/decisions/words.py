"""A decision in words, the same on the page, on the command line and in the list: what it is, and what each step does.

A step that has nothing to do for this decision has no words: a test that merely ends moves no traffic and no alias.
Pure.
"""

from __future__ import annotations

from services.decisions.model import Decision, Kind, State
from services.decisions.plan import Plan
from services.tracking.registry import CHAMPION


def outcome(kind: Kind, winner: str) -> str:
    """`b is promoted`, `a stays the champion`, `the test ends without a winner`; `winner` as it is to be called."""
    if kind is Kind.END:
        return "the test ends without a winner"
    return f"{winner} is promoted" if kind is Kind.PROMOTE else f"{winner} stays the champion"


def state(decision: Decision) -> str:
    """How a decision stands: `done`, `under way`, `undone by bob`."""
    if decision.state is State.UNDONE:
        return f"undone by {decision.undone_who}"
    if decision.state is State.UNDOING:
        return f"being undone by {decision.undone_who}"
    return "done" if decision.state is State.DONE else "under way"


COLUMNS = ("id", "test", "when", "who", "decided", "winner", "state", "overridden", "evidence", "why")


def line(decision: Decision, when: str) -> tuple[str, ...]:
    """A decision as a line of a table with these COLUMNS; `when` as the reader's clock says it."""
    found = decision
    overridden = "yes" if found.overridden else "no"
    winner = found.winner or "none"
    facts = (str(found.id), str(found.test), when, found.who, found.kind.value, winner, state(found), overridden)
    return (*facts, found.summary, found.why)


def remarks(decision: Decision) -> tuple[str, ...]:
    """What a line of the table has no room for: what it waits for, what was overridden, why it was taken back."""
    said = [decision.waiting] if decision.waiting else []
    if decision.overridden:
        said.append(f"overridden: {' '.join(decision.overridden)}")
    if decision.undone_who:
        said.append(f"{state(decision)}: {decision.undone_why}")
    return tuple(said)


def steps(plan: Plan) -> dict[str, str]:
    """By key of a step, forward or backward, one sentence; empty where the step has nothing to do."""
    crowned = bool(plan.winner and plan.name and plan.models[plan.winner].source)
    registered = plan.winner and (crowned or plan.models[plan.loser].versions)
    known = plan.models[plan.home].run_id
    stays = "The deployment stays as it is, with its split."
    return {
        "deployment": f"All traffic goes to {plan.winner}." if plan.first else stays,
        "version": f"MLflow's registry has a version of {plan.winner}'s model." if crowned else "",
        "alias": f"The alias {CHAMPION} of {plan.name} names it." if crowned else "",
        "test": f"Test {plan.test} ends.",
        "version tags": "The versions are tagged." if registered else "",
        "run tags": f"The runs of {' and '.join(sorted(plan.runs))} are tagged." if plan.runs else "",
        "artifacts": f"decision.json and the report go to the run of {plan.home}." if known else "",
        "takeover": f"{plan.arm} takes over from {plan.winner}." if plan.last else "",
        "undo deployment": "The deployment is as before." if plan.first else stays,
        "undo alias": f"The alias {CHAMPION} of {plan.name} is as before." if crowned else "",
        "undo version tags": "The versions say that it was undone." if registered else "",
        "undo run tags": "The runs say that it was undone." if plan.runs else "",
        "undo artifacts": f"undone.json goes to the run of {plan.home}." if known else "",
    }
