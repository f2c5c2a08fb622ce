"""Carrying a decision out, or back: one step after the other, each noted before and after.

By one process at a time for each decision: see services.decisions.lock. One that lost its hold on the way stops where
it is, without a word: what is left is for whoever has it now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from services.decisions import backward, forward, words
from services.decisions.lock import Hold, Lost
from services.decisions.model import State
from services.decisions.plan import Plan, Progress
from services.decisions.world import World
from services.errors import DecantError, Unavailable
from services.evidence.decision_table import DecisionRecord, DecisionTable

log = logging.getLogger(__name__)

BY_ITSELF = "Decant"
"""Who takes a decision back when a part refuses a step."""

AGAIN = "Decant looks again every few seconds and goes on by itself."
"""What happens next with a decision that waits."""

Tell = Callable[[str, str], None]
"""Hears the key of each step before it is taken, and what it does in words (empty if it has nothing to do)."""


def silent(_step: str, _said: str) -> None:
    """Tell nobody."""


class Carrier:
    """Takes the steps that are left of a decision, while `hold` lasts."""

    def __init__(self, table: DecisionTable, world: World, hold: Hold) -> None:
        self._table = table
        self._world = world
        self._hold = hold

    def carry(self, record: DecisionRecord, tell: Tell = silent) -> DecisionRecord:
        """Go on until the decision is done or undone, or has to wait, or is another process's to go on with.

        Raises what a part refused, once everything is taken back; Unavailable without the store.
        """
        try:
            return self._carry(record, tell)
        except Lost:
            log.warning("decision %d is left to the process that took it over", record.id)
            return self._table.get(record.id)

    def _carry(self, record: DecisionRecord, tell: Tell) -> DecisionRecord:
        refusal: DecantError | None = None
        while not State(record.state).final:
            try:
                record, waits = self._walk(record, tell)
            except Unavailable as error:
                return self._wait(record.id, f"{error.sentence} {AGAIN}")
            except DecantError as error:
                record = self._table.get(record.id)  # with the steps that were done before
                progress = Progress.from_json(record.steps)
                if record.state == State.DOING:
                    record = self._turn_back(record, progress, error)
                    refusal = error
                elif progress.refused:
                    return self._wait(record.id, f"{error.sentence} {AGAIN}")  # must not end half undone
                else:
                    self._turn_forth(record, progress)
                    raise
            else:
                if waits:
                    return record
        if refusal is not None:
            raise refusal
        return record

    def save(self, record: DecisionRecord, progress: Progress, state: State | None = None) -> DecisionRecord:
        """Note the progress, and the state if it is another one.

        Raises Conflict if another decision is unfinished; Lost if this one is no longer ours.
        """
        self._hold.check()
        to = state or State(record.state)
        steps = progress.to_json()
        finished = datetime.now(UTC) if to.final else None
        values = {"steps": steps, "state": to.value, "finished_at": finished}
        reopened = State(record.state).final
        table = self._table
        if not (table.reopen(record, **values) if reopened else table.move(record.id, [record.state], **values)):
            raise Unavailable("The decision", "another process went on with it", "Look at what became of it.")
        return replace(record, steps=steps, state=to.value, finished_at=finished)

    def _walk(self, record: DecisionRecord, tell: Tell) -> tuple[DecisionRecord, bool]:
        """The steps of the record's direction, up to one that has to wait (then True)."""
        plan = Plan.from_json(record.evidence)
        progress = Progress.from_json(record.steps)
        steps = forward.STEPS if record.state == State.DOING else backward.STEPS
        said = words.steps(plan)
        for key, step in steps.items():
            if key in progress.done:
                continue
            tell(key, said[key])
            if key not in progress.begun:
                progress.begun.append(key)
                record = self.save(record, progress)
            self._hold.check()
            waits = step(self._world, record, plan, progress)
            if waits:
                return self._wait(record.id, f"It waits for {waits.rstrip('.')}. {AGAIN}"), True
            progress.done.append(key)
            progress.waiting = ""
            record = self.save(record, progress)
        return self.save(record, progress, State.DONE if record.state == State.DOING else State.UNDONE), False

    def _wait(self, decision_id: int, why: str) -> DecisionRecord:
        """Note what an unfinished decision waits for."""
        record = self._table.get(decision_id)
        progress = Progress.from_json(record.steps)
        if progress.waiting == why:
            return record
        progress.waiting = why
        return self.save(record, progress)

    def _turn_back(self, record: DecisionRecord, progress: Progress, error: DecantError) -> DecisionRecord:
        """A step forward was refused: everything is taken back."""
        progress.refused, progress.undo_who, progress.undo_why = True, BY_ITSELF, error.sentence
        return self.save(record, progress, State.UNDOING)

    def _turn_forth(self, record: DecisionRecord, progress: Progress) -> None:
        """Taking back was refused before it changed anything: the decision stands as it did."""
        progress.undo_who = progress.undo_why = progress.waiting = ""
        progress.undo_over = False
        progress.begun = [key for key in progress.begun if key not in backward.STEPS]
        self.save(record, progress, State(progress.resume))
