"""A/B tests of deployments: started, ended, and what the evidence says of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.deployments.history_text import NOTHING, read_split
from services.deployments.manifest import from_yaml
from services.domain import ChangeNote, Deployment, DeploymentStatus
from services.errors import Conflict, DecantError, InvalidInput, NotFound
from services.evidence.tests_table import ABTestRecord
from services.operations import DECIDED
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward
from services.verdict.assessing import Assessing
from services.verdict.model import Assessment
from services.verdict.moves import MOST_CHANGES
from services.verdict.reading import MOST_REPLAYS, Sources
from services.verdict.rule import ABTest, Decides, LiveFrom, Rule, Source, assumed, usual_live_from


class Verdicts:
    """Starts, ends and assesses tests. Thread-safe. All but `counted_since` raise Unavailable without the store."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._store, self._engine = sources, sources.store, sources.engine

    # -- tests -----------------------------------------------------------------------------------------------------

    def tests(self, namespace: str, deployment: str) -> list[ABTest]:
        """Newest first."""
        return [test_of(record) for record in self._store.tests.recent(namespace, deployment)]

    def running(self, namespace: str, deployment: str) -> ABTest | None:
        """The test that runs now. One whose models have been replaced is ended by this look, as of the replacement."""
        record = self._store.tests.running(namespace, deployment)
        if record is None:
            return None
        test = test_of(record)
        if self._decided(namespace, deployment):
            return test
        overtaken = self._overtaken(test)
        if overtaken is None:
            return test
        at, why = overtaken
        self._store.tests.end(test.id, why, at)
        return None

    def counted_since(self, namespace: str, deployment: str) -> datetime | None:
        """When the running test began, if what the counters say since then may name its winner.

        None too where the store or the engine cannot be asked: who looks at the metrics has no need of them.
        """
        try:
            test = self.running(namespace, deployment)
        except DecantError:
            return None
        if test is None or test.rule.live_source is not LiveFrom.COUNTERS or not test.rule.decided_by(Source.LIVE):
            return None
        return test.started_at

    def unlike(self, namespace: str, deployment: str, reward: Reward, *, live: bool) -> str:
        """Why rows that earn this reward are no evidence in the test that runs; "" if they are, or if none runs.

        `live` says that they would go through the split, with their rewards as feedback.
        """
        test = self.running(namespace, deployment)
        if test is None or test.rule.reward == reward:
            return ""
        harm = ""
        if live and reward.counted and test.rule.live_source is LiveFrom.COUNTERS:
            harm = " As live traffic they also keep its counters from being read, which hold one reward only."
        return (
            f"Test {test.id} goes by {test.rule.reward.formula}: rows that earn anything else do not count in it.{harm}"
        )

    def repeats(self, spec: ReplaySpec, digest: str, total: int) -> str:
        """What sending these rows through the split would cost the test that runs; "" if nothing, or if none runs.

        Args:
            digest: of the dataset.
            total: rows in all passes together.
        """
        test = self.running(spec.namespace, spec.deployment)
        if spec.mode is not ReplayMode.LIVE or test is None or test.rule.reward != spec.reward:
            return ""
        recent = self._store.replays.recent(spec.namespace, spec.deployment, MOST_REPLAYS)
        asked = {"digest": digest, "start": spec.start, "passes": spec.passes, "sample_seed": spec.sample_seed}
        before = sorted(
            r.id
            for r in recent
            if r.created_at >= test.started_at and r.spec.get("mode") == ReplayMode.LIVE and r.overlaps(asked, total)
        )
        if not before and spec.passes == 1:
            return ""
        sent = (
            f"Replay {before[0]} sent some of these rows through the split already"
            if before
            else "Several passes send a row again"
        )
        words = f"{sent}: in test {test.id} a row counts once."
        if spec.reward.counted and test.rule.live_source is LiveFrom.COUNTERS:
            words += (
                " The arms’ counters cannot tell the second time from the first, so its live traffic is read no more."
            )
        return f"{words} Send other rows (another start), or send these in pairs."

    def propose(self, namespace: str, deployment: str) -> Rule:
        """A rule for the next test: the first two live predictors, and the reward of the newest replay.

        Raises NotFound for no such deployment and InvalidInput for one with a single arm.
        """
        status = self._engine.get(namespace, deployment)
        champion, challenger = self._arms(status)
        recent = self._store.replays.recent(namespace, deployment, 1)
        reward = Reward.from_json(recent[0].spec["reward"]) if recent else Rule().reward
        live_from = usual_live_from(reward, status.deployment.protocol)
        return Rule(champion=champion, challenger=challenger, reward=reward, live_from=live_from)

    def start(self, namespace: str, deployment: str, rule: Rule, *, note: ChangeNote) -> ABTest:
        """Begin a test under `rule`; the one that runs ends. Raises InvalidInput, NotFound, Conflict."""
        found = self._engine.get(namespace, deployment).deployment
        if rule.live_from is None:
            rule = replace(rule, live_from=usual_live_from(rule.reward, found.protocol))
        if rule.live_from is LiveFrom.COUNTERS and found.protocol == "v2":
            raise InvalidInput(
                f"No counter holds rewards of {deployment}: its models speak the V2 protocol, which has no feedback.",
                "Read live traffic from the ledger.",
            )
        rule = rule.validated()
        models = found.predictor(rule.champion).model_uri, found.predictor(rule.challenger).model_uri
        return test_of(self._store.tests.start(namespace, deployment, rule.to_json(), *models, note.who, note.why))

    def begin_with(
        self,
        namespace: str,
        deployment: str,
        reward: Reward,
        *,
        note: ChangeNote,
        arms: tuple[str, ...] = (),
        decides: Decides = Decides.PAIRED,
        live_from: LiveFrom | None = None,
    ) -> ABTest | None:
        """Begin a test with the usual rule and this reward if none runs and there are two arms to compare.

        `arms` are champion and challenger; the first two that are live if it is empty. `decides` is the source of what
        is about to be sent, `live_from` where live traffic is read (None: the usual place).

        So whoever replays first and asks for the verdict later has fixed the rule before the first row.
        """
        if self._decided(namespace, deployment):  # both arms may serve the winner for a moment
            return None
        try:
            if self.running(namespace, deployment) is not None:
                return None
            champion, challenger = arms or self._arms(self._engine.get(namespace, deployment))
            rule = Rule(champion, challenger, reward, decides=decides, live_from=live_from)
            return self.start(namespace, deployment, rule, note=note)
        except (InvalidInput, Conflict):  # a single arm, or somebody was quicker
            return None

    def end(self, test_id: int, *, note: ChangeNote) -> ABTest:
        """End a test without a decision. Raises NotFound."""
        self._store.tests.get(test_id)
        self._store.tests.end(test_id, f"ended by {note.who}" + (f": {note.why}" if note.why else ""))
        return test_of(self._store.tests.get(test_id))

    # -- the assessment --------------------------------------------------------------------------------------------

    def assess(self, namespace: str, deployment: str, test_id: int | None = None) -> Assessment:
        """What the evidence of a test says now; of the running test, else of the newest.

        Raises NotFound if there never was a test.
        """
        test = self._find(namespace, deployment, test_id)
        return Assessing(self._sources, test).run()

    def untested(self, namespace: str, deployment: str) -> NotFound:
        """Why there is no test: there is no such deployment, or it never had one; the latter if nobody can tell."""
        try:
            self._engine.get(namespace, deployment)
        except NotFound as error:
            return error
        except DecantError:
            pass
        return no_test(namespace, deployment)

    def _find(self, namespace: str, deployment: str, test_id: int | None) -> ABTest:
        running = self.running(namespace, deployment)
        if test_id is not None:
            return test_of(self._store.tests.get(test_id))
        if running is not None:
            return running
        recent = self._store.tests.recent(namespace, deployment, 1)
        if not recent:
            raise self.untested(namespace, deployment)
        return test_of(recent[0])

    def _decided(self, namespace: str, deployment: str) -> bool:
        """Whether a decision is being carried out: it replaces models on purpose, and may yet be taken back."""
        return any((d.namespace, d.deployment) == (namespace, deployment) for d in self._store.decisions.unfinished())

    def _overtaken(self, test: ABTest) -> tuple[datetime | None, str] | None:
        """When and why a running test could not go on; None if it can, or if nobody can tell.

        The history comes first: a model that was replaced and put back has answered meanwhile.
        """
        where = (test.namespace, test.deployment)
        changes = self._store.changes(*where, since=test.started_at, limit=MOST_CHANGES)
        for change in reversed(changes):
            if change.what in DECIDED or read_split(change.after) is not None:
                continue
            why = _unlike(test, None if change.after == NOTHING else from_yaml(change.after))
            if why:
                return change.at, why
        try:
            why = _unlike(test, self._engine.get(*where).deployment)
        except NotFound:
            why = _unlike(test, None)
        except DecantError:
            return None
        return (None, why) if why else None

    @staticmethod
    def _arms(status: DeploymentStatus) -> tuple[str, str]:
        live = [p.name for p in status.deployment.live]
        if len(live) < 2:
            raise InvalidInput(
                f"Deployment “{status.deployment.name}” has a single arm, so there is nothing to compare.",
                "Add a second model on the Deploy page.",
            )
        return live[0], live[1]


def no_test(namespace: str, deployment: str) -> NotFound:
    """That a deployment never had a test, and how to begin one."""
    error = NotFound("A/B test of the deployment", f"{namespace}/{deployment}")
    begin = f"python -m app test start {deployment} --namespace {namespace} --why …"
    error.hint = f"Begin one with `{begin}`, or on the Verdict page; a replay to both arms begins one by itself."
    return error


def test_of(record: ABTestRecord) -> ABTest:
    """The record with its rule as a value."""
    return ABTest(
        id=record.id,
        namespace=record.namespace,
        deployment=record.deployment,
        rule=Rule.from_json(record.rule),
        model_a=record.model_a,
        model_b=record.model_b,
        who=record.who,
        started_at=record.started_at,
        why=record.why,
        ended_at=record.ended_at,
        ended_why=record.ended_why,
        read_as=assumed(record.rule),
    )


def _unlike(test: ABTest, deployment: Deployment | None) -> str:
    """Why a test cannot be about this deployment, or ""."""
    if deployment is None:
        return "the deployment was deleted"
    models = {p.name: p.model_uri for p in deployment.live}
    for name, uri in ((test.rule.champion, test.model_a), (test.rule.challenger, test.model_b)):
        if name not in models:
            return f"predictor {name} was removed"
        if models[name] != uri:
            return f"the model of {name} was replaced"
    return ""
