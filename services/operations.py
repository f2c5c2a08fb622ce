"""Every change to the world, with its entry in the history.

The engine and the store are two systems and a process can die between them, so each change goes in three steps:

1. write an intent to the store (no history shows it);
2. do it in the engine, bound to the version that was read, so that "before" is what really was there;
3. confirm the intent, which puts it into the history.

A crash after 1 leaves an intent for something that did not happen, a crash after 2 one for something that did. The next
look at the deployment's history tells them apart by asking the engine: if the world is as the intent wanted it, the
intent is confirmed; if not, and it is old enough that nobody can still be at it, it is dropped. So the history never
claims what did not happen, and forgets what happened only if somebody else changed the same thing again before anyone
looked. An intent names the engine that it was begun on, and is settled by looking at that one alone: a deployment of
the same name on another engine says nothing about it.

Undo works on the texts in the history and only if the world still is as the newest entry left it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from services.deployments.engine import Engine
from services.deployments.history_text import NOTHING, manifest_text, read_split, split_text, stands
from services.deployments.identity import Identify, only
from services.deployments.manifest import from_yaml
from services.domain import Change, ChangeNote, Deployment, DeploymentStatus, Split
from services.errors import Conflict, DecantError, InvalidDeployment, InvalidInput, NotFound, Unavailable
from services.evidence.store import EvidenceStore

log = logging.getLogger(__name__)

T = TypeVar("T")

APPLY, SPLIT, DELETE, UNDO = "apply", "split", "delete", "undo"
UNDO_DECISION = "undo-decision"
DECIDED = ("promote", "keep", "end-test", UNDO_DECISION)
"""Entries of decisions on a test, which are about more than the deployment: see services.decisions."""

INTENT_MAX_AGE = timedelta(minutes=3)
"""Longer than any engine call takes; an older intent has nobody behind it any more."""

READ_ATTEMPTS = 5
"""Tries when the caller does not care which version it changes and somebody else is changing it too."""


class Operations:
    """Changes deployments and keeps the history. Raises what the engine raises, and Unavailable without the store."""

    def __init__(self, engine: Engine, store: EvidenceStore, identity: Identify = only) -> None:
        self._engine = engine
        self._store = store
        self._identity = identity

    def apply(
        self, deployment: Deployment, *, note: ChangeNote, expected_version: str | None = None, what: str = APPLY
    ) -> DeploymentStatus:
        """Create or replace a deployment. See Engine.apply for `expected_version`; `what` is the kind of the entry."""
        return self._apply(deployment.validated(), what, note, expected_version)

    def set_traffic(
        self, namespace: str, name: str, split: Split, *, note: ChangeNote, expected_version: str | None = None
    ) -> DeploymentStatus:
        """Move the split and nothing else. Unavailable may mean that it comes into force later: see the engine."""
        return self._set_traffic(namespace, name, split, SPLIT, note, expected_version)

    def give_time(
        self, namespace: str, name: str, predictor: str, budget_s: int, *, note: ChangeNote
    ) -> DeploymentStatus:
        """Let a predictor take `budget_s` seconds to start, and change nothing else."""
        status = self._engine.get(namespace, name)
        predictors = status.deployment.predictors
        status.deployment.predictor(predictor)
        wanted = tuple(replace(p, start_budget_s=budget_s) if p.name == predictor else p for p in predictors)
        why = note.why or f"{predictor} may take {budget_s} s to start"
        return self.apply(
            replace(status.deployment, predictors=wanted), note=replace(note, why=why), expected_version=status.version
        )

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        """Remove a deployment; its manifest stays in the history, so `undo` brings it back."""
        self._delete(namespace, name, DELETE, note)

    def undo(self, namespace: str, name: str, *, note: ChangeNote) -> Change:
        """Revert the newest change of the deployment, and return the entry that this makes.

        That entry is a change like any other: undoing it does again what was undone.

        Raises:
            NotFound: if the history holds nothing to undo.
            InvalidInput: if the newest change is a decision, which is about MLflow and a test too.
            Conflict: if the deployment is not as the newest entry left it, so that undoing would overwrite a change
                made by other means.
        """
        history = self.history(namespace, name, limit=1)
        if not history:
            raise NotFound("change to undo for the deployment", f"{namespace}/{name}")
        newest = history[0]
        if newest.what in DECIDED:
            raise InvalidInput(
                f"The newest change of “{name}” is a decision on its test ({newest.what}).",
                "Take it back as a whole, also in MLflow: on the Verdict page, or with "
                f"`python -m app undo-decision {name} -n {namespace}`.",
            )
        status = self._read(namespace, name)
        if not stands(newest.after, status):
            raise Conflict(f"Deployment “{name}”", _who_else(status))
        reason = replace(note, why=note.why or f"undo of {newest.what} by {newest.who}")
        split = read_split(newest.before)
        if newest.before == NOTHING:
            self._delete(namespace, name, UNDO, reason)
        elif split is not None and status is not None:
            self._set_traffic(namespace, name, split, UNDO, reason, status.version)
        else:
            self._apply(from_yaml(newest.before), UNDO, reason, status.version if status else "")
        return self._store.changes(namespace, name, limit=1)[0]

    def history(self, namespace: str, name: str, limit: int = 50) -> list[Change]:
        """What happened to the deployment, newest first."""
        self._settle_intents(namespace, name)
        return self._store.changes(namespace, name, limit=limit)

    # -- the three changes -----------------------------------------------------------------------------------------

    def _apply(
        self, deployment: Deployment, what: str, note: ChangeNote, expected_version: str | None
    ) -> DeploymentStatus:
        after = manifest_text(deployment)

        def attempt(status: DeploymentStatus | None, version: str) -> DeploymentStatus:
            before = manifest_text(status.deployment) if status else NOTHING
            return self._do(
                _draft(deployment.namespace, deployment.name, what, before, after, note),
                lambda: self._engine.apply(deployment, note=note, expected_version=version),
                lambda done: manifest_text(done.deployment),
            )

        return self._bound(deployment.namespace, deployment.name, expected_version, attempt)

    def _set_traffic(
        self, namespace: str, name: str, split: Split, what: str, note: ChangeNote, expected_version: str | None
    ) -> DeploymentStatus:
        def attempt(status: DeploymentStatus | None, version: str) -> DeploymentStatus:
            if status is None:
                raise NotFound("deployment", f"{namespace}/{name}")
            # The split alone has to be sound: the rest may be somebody else's, and hold what Decant would not write.
            wanted = status.deployment.with_split(split).split
            if problems := wanted.problems():
                raise InvalidDeployment(name, problems)
            return self._do(
                _draft(namespace, name, what, split_text(status.requested), split_text(wanted), note),
                lambda: self._engine.set_traffic(namespace, name, wanted, note=note, expected_version=version),
                lambda done: split_text(done.requested),
            )

        return self._bound(namespace, name, expected_version, attempt)

    def _delete(self, namespace: str, name: str, what: str, note: ChangeNote) -> None:
        self._settle_intents(namespace, name)
        status = self._read(namespace, name)
        if status is None:
            raise NotFound("deployment", f"{namespace}/{name}")
        before = manifest_text(status.deployment)
        self._do(
            _draft(namespace, name, what, before, NOTHING, note),
            lambda: self._engine.delete(namespace, name, note=note),
            lambda _: NOTHING,
        )

    # -- doing and recording ---------------------------------------------------------------------------------------

    def _bound(
        self,
        namespace: str,
        name: str,
        expected_version: str | None,
        attempt: Callable[[DeploymentStatus | None, str], T],
    ) -> T:
        """Run `attempt` against the version just read, again if another was quicker and the caller does not mind."""
        self._settle_intents(namespace, name)
        for _ in range(READ_ATTEMPTS - 1):
            status = self._read(namespace, name)
            try:
                return attempt(
                    status, (status.version if status else "") if expected_version is None else expected_version
                )
            except Conflict:
                if expected_version is not None:
                    raise
        status = self._read(namespace, name)
        return attempt(status, status.version if status else "")

    def _do(self, draft: Change, act: Callable[[], T], after: Callable[[T], str]) -> T:
        intent = self._store.intend_change(draft, self._identity().key)
        try:
            result = act()
        except Unavailable:
            # It may be done and merely not confirmed (a gateway that is down takes the new split when it is back).
            self._settle(intent, give_up=False)
            raise
        except DecantError:
            self._drop(intent)
            raise
        done = replace(intent, at=datetime.now(UTC), after=after(result))
        if done.before == done.after:
            self._drop(intent)  # nothing changed, so there is nothing to tell or to undo
            return result
        try:
            self._store.confirm_change(done)
        except Unavailable:
            # The change stands; failing now would say that it does not. The next look confirms it.
            log.exception("%s of %s/%s is done but not yet in the history", done.what, done.namespace, done.deployment)
        return result

    def _drop(self, intent: Change) -> None:
        try:
            self._store.drop_change(intent.id or -1)
        except Unavailable:
            log.exception("an intent that came to nothing stays until the store is back")

    def _settle_intents(self, namespace: str, name: str) -> None:
        try:
            ours = self._identity().key
        except Unavailable as error:
            log.warning("whose the intents on %s/%s are cannot be told now: %s", namespace, name, error)
            return
        for intent in self._store.intended_changes(namespace, name, ours):
            self._settle(intent, give_up=datetime.now(UTC) - intent.at > INTENT_MAX_AGE)

    def _settle(self, intent: Change, *, give_up: bool) -> None:
        """Find out whether an intent happened; without knowing, keep it, or drop it if `give_up`."""
        try:
            status = self._read(intent.namespace, intent.deployment)
            if intent.before != intent.after and stands(intent.after, status) and not self._told(intent):
                when = status.changed_at if status and status.changed_at and status.changed_at >= intent.at else None
                self._store.confirm_change(replace(intent, at=when or intent.at))
            elif give_up:
                self._store.drop_change(intent.id or -1)
        except Unavailable:
            log.warning("cannot tell yet whether the %s of %s happened", intent.what, intent.deployment)

    def _told(self, intent: Change) -> bool:
        """Whether the history has the same thing already, from somebody who tried again after a crash."""
        ours = self._identity().key
        since = self._store.changes(intent.namespace, intent.deployment, since=intent.at, engine=ours)
        return any(change.after == intent.after for change in since)

    def _read(self, namespace: str, name: str) -> DeploymentStatus | None:
        try:
            status = self._engine.get(namespace, name)
        except NotFound:
            return None
        return None if status.deleting else status


def _draft(namespace: str, name: str, what: str, before: str, after: str, note: ChangeNote) -> Change:
    return Change(datetime.now(UTC), note.who, what, namespace, name, before, after, note.why)


def _who_else(status: DeploymentStatus | None) -> str:
    if status is None:
        return "it is gone"
    who = status.changed_by or "somebody"
    return f"{who} changed it at {status.changed_at:%Y-%m-%d %H:%M:%S %Z}" if status.changed_at else f"{who} changed it"
