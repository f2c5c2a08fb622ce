"""Decisions on tests: taken, carried out step by step, taken back; and settled after whatever interrupted them.

A decision touches four systems that share no transaction: the engine, MLflow, the history and the test. So it is first
written down as an intent, with everything it will do, and then carried out in steps of which each may be repeated (see
forward.py). Whoever finds an unfinished one goes on with it: the caller, the worker every few seconds, the next look.

- MLflow or the engine does not answer before anything is written: the decision is refused and nothing has changed.
- It stops answering on the way: the steps that are left wait for it, and the decision says what for. Traffic is moved
  first, because it is the step that somebody else's change can make impossible.
- A part refuses for good (no permission, a change by somebody else): what was done is taken back, in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from filelock import Timeout

from services.decisions.carrier import Carrier, Tell, silent
from services.decisions.fresh import Assess, check_unchanged
from services.decisions.guards import check_free, check_newest, check_untouched
from services.decisions.lock import DecisionLock, Hold
from services.decisions.model import Decision, Kind, State, obstacles
from services.decisions.plan import Progress
from services.decisions.planning import consequences, make_plan
from services.decisions.reading import decision_of
from services.decisions.rehearsal import (
    Rehearsal,
    check_carried,
    check_own,
    check_reason,
    check_running,
    rehearse,
)
from services.decisions.reports import Reports
from services.decisions.world import World
from services.deployments.engine import Engine
from services.deployments.identity import Identify
from services.domain import ChangeNote
from services.errors import Conflict, DecantError, InvalidInput, NotFound, Unavailable
from services.evidence.decision_table import DecisionRecord, DecisionTable
from services.evidence.leases import Leases
from services.evidence.store import EvidenceStore
from services.operations import Operations
from services.settings import Settings
from services.tracking.registry import Registry
from services.verdict.model import Assessment
from services.verdict.report import render_report

log = logging.getLogger(__name__)


class Decisions:
    """Takes decisions and takes them back. Thread-safe, and safe beside other processes of the same state folder.

    Args:
        assess: what the evidence says now; see `Verdicts.assess`.
        render: makes the report of an assessment: one HTML text.
        leases: keep two machines from carrying out the same decision.
    """

    def __init__(
        self,
        table: DecisionTable,
        world: World,
        assess: Assess,
        render: Callable[[Assessment], str],
        leases: Leases,
    ) -> None:
        self._table = table
        self._world = world
        self._assess = assess
        self._render = render
        self._lock = DecisionLock(world.reports.folder, leases)

    def preview(self, kind: Kind, assessment: Assessment) -> tuple[str, ...]:
        """What the decision would change, one sentence each. Raises like `decide`."""
        return consequences(make_plan(self._world, assessment, kind))

    def rehearse(self, kind: Kind, namespace: str, name: str, *, note: ChangeNote, override: bool = False) -> Rehearsal:
        """What `decide` would change now, and what it would be refused for. Raises NotFound without a test."""
        found = self._assess(namespace, name)
        return rehearse(self._table, self._world, found, kind, note=note, override=override)

    def decide(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        note: ChangeNote,
        seen: Assessment | None = None,
        override: bool = False,
        tell: Tell = silent,
    ) -> Decision:
        """Decide a test of the deployment on what the evidence says now, which is assessed anew and recorded.

        `seen` is what the person looked at: its test is decided, and only if the verdict is still the same. Without it
        the running test is decided, whatever its verdict is by now. `tell` hears of each step.

        Returns the decision: done, or on its way and waiting for what it says.

        Raises:
            InvalidInput: without a reason; if the test has ended; NotCarried if the evidence does not carry the
                decision (see `obstacles`) and it is not overridden.
            NotFound: if the deployment, an arm or the test is gone.
            VerdictChanged: if the call, or which checks are red, is not what was seen.
            Conflict: if an arm serves another model than the test is about, or somebody changes the deployment or
                decides at the same moment.
            Foreign: if another tool manages the deployment and the note does not say that it is taken over.
            Unavailable: if a part does not answer, before anything has changed.
            Rejected: if a part refused a step; everything has been taken back.
        """
        check_reason(note)
        with self._lock.waited_for(namespace, name) as hold:
            check_free(self._table, self._world, namespace, name)
            found = self._assess(namespace, name, seen.test.id if seen is not None else None)
            now = self._world.tests.get(found.test.id)
            check_running(now)
            if seen is not None:
                check_unchanged(seen, found)
            against = obstacles(kind, found)
            check_carried(against, override=override)
            plan = make_plan(self._world, found, kind)
            check_own(plan, name, note)
            report = self._world.reports.keep(self._render(found))  # before the intent, so that a restart finds it
            hold.check()
            record = self._table.add(
                now.id,
                namespace,
                name,
                call=kind.value,
                winner=plan.winner,
                who=note.who,
                why=note.why,
                steps=Progress().to_json(),
                evidence=plan.to_json(),
                report=report,
                override=bool(against),
                state=State.DOING.value,
            )
            return decision_of(self._carrier(hold).carry(record, tell))

    def undo(
        self, namespace: str, name: str, *, note: ChangeNote, decision: int | None = None, tell: Tell = silent
    ) -> Decision:
        """Take back the newest decision on a deployment, whether it is finished or not.

        `decision` is the one that is meant: if it is not the newest that stands, nothing is taken back.
        Deployment and alias are as before, tags and artifacts say that it was undone. The test stays ended.

        Raises:
            InvalidInput: without a reason.
            NotFound: if there is no such decision, or none to take back.
            Conflict: if somebody has decided or taken it back since, or changed the deployment; or if it was taken on
                another engine.
        """
        if not note.why:
            raise InvalidInput("Taking back a decision needs a reason.", "Say in a sentence why; it is recorded.")
        with self._lock.waited_for(namespace, name) as hold:
            record = self._newest(namespace, name)
            if decision is not None:
                check_newest(self.get(decision, (namespace, name)), record)
            if record is None:
                raise NotFound("decision to undo for the deployment", f"{namespace}/{name}")
            if said := self._world.elsewhere(record):
                raise Conflict(f"Decision {record.id}", said)
            carrier = self._carrier(hold)
            if record.state != State.UNDOING:
                progress = Progress.from_json(record.steps)
                check_untouched(self._world, record, progress)
                progress.undo_who, progress.undo_why, progress.resume = note.who, note.why, record.state
                progress.undo_over = note.take_over
                record = carrier.save(record, progress, State.UNDOING)
            return decision_of(carrier.carry(record, tell))

    def settle(self, namespace: str | None = None, name: str | None = None) -> list[Decision]:
        """Go on with unfinished decisions, of one deployment or all; returns those that are still unfinished.

        One that another process is at is left to it, and one of another engine to whoever stands before that one.
        Raises Unavailable without the store; what goes wrong with a part is in `Decision.waiting`. One that breaks on
        anything else is logged and not among those returned.
        """
        left = []
        for record in self._table.unfinished():
            if namespace not in (None, record.namespace) or name not in (None, record.deployment):
                continue
            if said := self._world.elsewhere(record):
                log.debug("decision %d is left alone: %s", record.id, said)
                left.append(replace(decision_of(record), waiting=said))
                continue
            try:
                decision = self._go_on(record)
            except Unavailable:
                raise
            except Exception:  # whatever one breaks on, the others are gone on with
                log.exception("decision %d on %s/%s broke", record.id, record.namespace, record.deployment)
                continue
            if not decision.finished:
                left.append(decision)
        return left

    def get(self, decision_id: int, of: tuple[str, str] | None = None) -> Decision:
        """A decision, on the deployment `of` (namespace, name) if that is given. Raises NotFound."""
        found = self._seen(self._table.get(decision_id))
        if of not in (None, (found.namespace, found.deployment)):
            raise NotFound(f"decision on {'/'.join(of or ())}", str(decision_id))
        return found

    def recent(self, namespace: str | None = None, name: str | None = None, limit: int = 20) -> list[Decision]:
        """Newest first."""
        return [self._seen(record) for record in self._table.recent(namespace, name, limit)]

    def standing(self, namespace: str, name: str) -> Decision | None:
        """The newest decision on a deployment unless it was taken back: what `undo` would take back."""
        record = self._newest(namespace, name)
        return self._seen(record) if record is not None else None

    def report(self, decision_id: int) -> str:
        """The report on which a decision was taken, as HTML. Raises NotFound."""
        record = self._table.get(decision_id)
        found = self._world.reports.read(record.report)
        if found is None:
            raise NotFound("report of decision", str(decision_id))
        return found

    def _seen(self, record: DecisionRecord) -> Decision:
        """The decision as it is read here: an unfinished one of another engine says that it waits for that one."""
        found = decision_of(record)
        said = "" if found.finished else self._world.elsewhere(record)
        return replace(found, waiting=said) if said else found

    def _go_on(self, record: DecisionRecord) -> Decision:
        try:
            with self._lock.held(record.namespace, record.deployment) as hold:
                return decision_of(self._carrier(hold).carry(self._table.get(record.id)))
        except Timeout:
            pass  # somebody is at it
        except DecantError as error:
            log.warning("decision %d was taken back: %s", record.id, error)
        return decision_of(self._table.get(record.id))

    def _carrier(self, hold: Hold) -> Carrier:
        return Carrier(self._table, self._world, hold)

    def _newest(self, namespace: str, name: str) -> DecisionRecord | None:
        """The newest decision that was not taken back."""
        return next((r for r in self._table.recent(namespace, name) if r.state != State.UNDONE), None)


def open_decisions(
    settings: Settings,
    engine: Engine,
    operations: Operations,
    store: EvidenceStore,
    registry: Registry,
    assess: Assess,
    identity: Identify,
) -> Decisions:
    """Decisions as the settings say, with the usual report. Connects to nothing."""
    reports = Reports(settings.paths.root / "decisions", store.files)
    world = World(engine, operations, registry, store.tests, store, reports, identity)
    return Decisions(store.decisions, world, assess, render_report, store.leases)
