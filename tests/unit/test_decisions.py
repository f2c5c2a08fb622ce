"""Decisions on a real MLflow and a real store: all parts say the same afterwards, and undo brings all of it back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from services.decisions.carrier import AGAIN
from services.decisions.fresh import VerdictChanged
from services.decisions.model import Kind, State
from services.decisions.service import Decisions
from services.deployments.history_text import manifest_text
from services.deployments.identity import installation
from services.domain import ChangeNote, Phase, Split
from services.errors import Conflict, InvalidInput, NotFound, Unavailable
from services.operations import Operations
from services.tracking.registry import Registry
from services.verdict.report import render_report
from tests.support.decisions import LEAD, NAMESPACE, Desk
from tests.support.memory_engine import MemoryEngine
from tests.support.tracking import tracking_at
from tests.support.waiting import free_port

BOB = ChangeNote("bob", "it smells of cork")


@dataclass(frozen=True)
class Pair:
    """Ids of the runs of the two models."""

    first: str
    second: str


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of MLflow's own."""
    made = f"sqlite:///{tmp_path_factory.mktemp('library') / 'mlflow.db'}"
    with tracking_at(made):
        yield made


@pytest.fixture
def desk(uri: str, tmp_path: Path) -> Iterator[Desk]:
    opened = Desk.open(tmp_path, uri)
    yield opened
    opened.close()


@pytest.fixture
def runs(desk: Desk) -> Pair:
    """Two runs of the test's own: what one test registers must not be found by another."""
    return Pair(desk.train("elastic-a"), desk.train("elastic-b"))


@pytest.fixture
def name() -> str:
    """A deployment of the test's own, and so a registered model of its own."""
    return f"wine-{uuid.uuid4().hex[:8]}"


def artifacts(client: MlflowClient, run_id: str, decision: int) -> set[str]:
    return {Path(entry.path).name for entry in client.list_artifacts(run_id, f"decant/decision-{decision}")}


def document(client: MlflowClient, run_id: str, decision: int, tmp_path: Path) -> dict[str, object]:
    file = client.download_artifacts(run_id, f"decant/decision-{decision}/decision.json", str(tmp_path))
    found: dict[str, object] = json.loads(Path(file).read_text())
    return found


class TestPromote:
    def test_deployment_mlflow_history_and_test_agree(self, desk: Desk, runs: Pair, name: str, tmp_path: Path) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)
        made = desk.decide(Kind.PROMOTE, assessment, note=LEAD)

        assert (made.state, made.winner, made.loser, made.gaps, made.waiting) == (State.DONE, "b", "a", (), "")
        model = before.predictor("b").model_uri
        assert desk.arms(name) == {"a": (model, 100)}
        provenance = desk.engine.get(NAMESPACE, name).deployment.predictor("a").provenance
        assert (provenance.run_id, provenance.label) == (runs.second, f"{name} v1")

        client = desk.client
        assert (desk.alias(name), made.champion) == ("1", f"{name} v1")
        assert client.get_model_version(name, "1").run_id == runs.second
        winner, loser = (client.get_run(run).data.tags for run in (runs.second, runs.first))
        assert (winner["decant.role"], loser["decant.role"]) == ("winner", "loser")
        for tags in (winner, loser, client.get_model_version(name, "1").tags):
            assert tags["decant.decision"] == f"promote ({made.id})"
            assert tags["decant.verdict"] == "Ship B"
            assert (tags["decant.decided_by"], tags["decant.reason"]) == ("lead", "fewer bad bottles")
            assert tags["decant.test"] == str(assessment.test.id)
        assert artifacts(client, runs.second, made.id) == {"decision.json", "report.html"}
        said = document(client, runs.second, made.id, tmp_path)
        assert (said["who"], said["winner"], said["registered"]) == (
            "lead",
            "b",
            {"name": name, "champion": "1", "before": None},
        )
        assert said["evidence"]["call"] == "Ship B"  # type: ignore[index]

        finish, begin, _ = desk.operations.history(NAMESPACE, name)
        assert (begin.what, begin.who, begin.before) == ("promote", "lead", manifest_text(before))
        assert "fewer bad bottles" in begin.why and "500 rows of paired replay" in begin.why
        assert finish.what == "promote"
        ended = desk.store.tests.get(assessment.test.id)
        assert ended.ended_at is not None and "fewer bad bottles" in ended.ended_why

    def test_alias_moves_within_the_champions_registered_model(self, desk: Desk, runs: Pair, name: str) -> None:
        registered = f"cellar-{uuid.uuid4().hex[:8]}"
        champion = desk.model_of(runs.first)
        desk.client.create_registered_model(registered)
        desk.client.create_model_version(registered, f"models:/{champion}", run_id=runs.first)
        desk.client.set_registered_model_alias(registered, "champion", "1")
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)

        assert desk.alias(registered) == "2"
        assert desk.client.get_model_version(registered, "2").run_id == runs.second
        tags = desk.client.get_model_version(registered, "1").tags
        assert tags["decant.lost_to"] == f"{registered} v2"
        assert tags["decant.former_champion"].startswith("until 20")

        desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert desk.alias(registered) == "1"
        tags = desk.client.get_model_version(registered, "1").tags
        assert not {"decant.lost_to", "decant.former_champion"} & set(tags)
        assert tags["decant.decision"] == f"promote ({made.id})"
        assert tags["decant.decision_state"] == "undone by bob: it smells of cork"

    def test_a_version_that_exists_is_used(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.client.create_registered_model(name)
        for run in (runs.second, runs.first):
            desk.client.create_model_version(name, f"models:/{desk.model_of(run)}", run_id=run)
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert desk.alias(name) == "1"
        assert len(desk.client.search_model_versions(f"name = '{name}'")) == 2

    def test_the_champions_arm_takes_over_only_when_it_is_ready(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second}, (0, 100))
        key = (NAMESPACE, name, "a")
        desk.engine.phases[key] = (Phase.LOADING, "its model server is starting")
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert made.state is State.DOING
        assert "a to load the winner's model" in made.waiting and "its model server is starting" in made.waiting
        model = before.predictor("b").model_uri
        assert desk.arms(name) == {"a": (model, 0), "b": (model, 100)}
        assert desk.alias(name) == "1", "everything but the takeover is done"
        assert [d.id for d in desk.decisions.settle()] == [made.id]

        with pytest.raises(Conflict, match=f"decision {made.id} by lead is not finished"):
            desk.decide(Kind.KEEP, desk.start(name, "keep"), note=BOB)
        del desk.engine.phases[key]
        assert desk.decisions.settle() == []
        assert desk.arms(name) == {"a": (model, 100)}
        assert desk.decisions.get(made.id).state is State.DONE

    def test_an_unfinished_one_can_be_taken_back(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "a"] = (Phase.FAILED, "no memory is left")
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert desk.decisions.undo(NAMESPACE, name, note=BOB).state is State.UNDONE
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.alias(name) is None
        assert desk.decisions.settle() == []

    def test_somebody_elses_change_in_between_is_left_alone(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "a"] = (Phase.LOADING, "")
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        desk.operations.set_traffic(NAMESPACE, name, Split.of({"a": 30, "b": 70}), note=BOB)
        desk.engine.phases.clear()
        assert desk.decisions.settle() == []
        done = desk.decisions.get(made.id)
        assert done.state is State.DONE
        assert any("bob changed it" in gap for gap in done.gaps)
        assert desk.engine.get(NAMESPACE, name).requested == Split.of({"a": 30, "b": 70})

    def test_arms_with_names_of_their_own_keep_them(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"mild": runs.first, "bold": runs.second})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert made.state is State.DONE
        assert desk.arms(name) == {"bold": (before.predictor("bold").model_uri, 100)}

    def test_a_model_that_mlflow_does_not_know_is_promoted_all_the_same(
        self, desk: Desk, runs: Pair, name: str
    ) -> None:
        desk.deploy(name, {"a": runs.first, "b": None})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert made.state is State.DONE
        assert desk.arms(name) == {"a": ("/models/b", 100)}
        assert desk.alias(name) is None
        assert any("/models/b" in gap and "no run" in gap for gap in made.gaps)
        assert any("no version and no alias" in gap for gap in made.gaps)
        assert desk.client.get_run(runs.first).data.tags["decant.role"] == "loser"

    def test_without_mlflow_models_no_mlflow_is_needed(self, tmp_path: Path, name: str) -> None:
        desk = Desk.open(tmp_path, f"http://127.0.0.1:{free_port()}")
        desk.deploy(name, {"a": None, "b": None})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert (made.state, desk.arms(name)) == (State.DONE, {"a": ("/models/b", 100)})
        assert desk.decisions.report(made.id).lower().startswith("<!doctype html")
        desk.close()


class TestKeepAndEnd:
    def test_keep_names_the_champion_and_ends_the_challenger(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second}, (60, 40))
        made = desk.decide(Kind.KEEP, desk.start(name, "keep"), note=LEAD)
        assert (made.state, made.winner) == (State.DONE, "a")
        assert desk.arms(name) == {"a": (before.predictor("a").model_uri, 100)}
        assert desk.client.get_model_version(name, desk.alias(name) or "").run_id == runs.first
        assert desk.client.get_run(runs.second).data.tags["decant.role"] == "loser"

        desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.alias(name) is None

    def test_the_test_says_that_it_was_decided_though_its_end_was_seen_before(
        self, desk: Desk, runs: Pair, name: str
    ) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)

        def look(step: str, _: str) -> None:
            if step == "alias":  # a page that looks now sees another model in a, which ends the test
                desk.store.tests.end(assessment.test.id, "the model of a was replaced")

        desk.decide(Kind.PROMOTE, assessment, note=LEAD, tell=look)
        ended = desk.store.tests.get(assessment.test.id)
        assert ended.ended_why.startswith("promote: fewer bad bottles")
        assert ended.ended_at is not None

    def test_other_arms_stay(self, desk: Desk, runs: Pair, name: str) -> None:
        arms = {"a": runs.first, "b": runs.second, "c": None}
        before = desk.deploy(name, arms, (50, 20, 30))
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert desk.arms(name) == {"a": (before.predictor("b").model_uri, 70), "c": ("/models/c", 30)}

    def test_the_end_of_a_test_moves_nothing_and_is_told(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        version = desk.engine.get(NAMESPACE, name).version
        assessment = desk.start(name, "distrust")
        told: list[str] = []
        made = desk.decide(Kind.END, assessment, note=LEAD, tell=lambda _, said: told.append(said))
        assert (made.state, made.winner, made.overridden) == (State.DONE, "", ())
        assert [said for said in told if said] == list(made.did), "the steps that have something to do"
        assert made.did[:2] == ("The deployment stays as it is, with its split.", f"Test {assessment.test.id} ends.")
        assert not any("alias" in said or "takes over" in said for said in made.did)
        assert desk.engine.get(NAMESPACE, name).version == version
        assert desk.alias(name) is None
        newest = desk.operations.history(NAMESPACE, name)[0]
        assert (newest.what, newest.who) == ("end-test", "lead")
        assert desk.client.get_run(runs.first).data.tags["decant.role"] == "no winner"
        assert desk.store.tests.running(NAMESPACE, name) is None

        desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert desk.operations.history(NAMESPACE, name)[0].what == "undo-decision"


class TestGuards:
    def test_red_checks_forbid_a_winner_unless_overridden(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name, "distrust")
        for kind in (Kind.PROMOTE, Kind.KEEP):
            with pytest.raises(InvalidInput, match="43 % of A's sum"):
                desk.decide(kind, assessment, note=LEAD)
        assert desk.decisions.recent(NAMESPACE, name) == []
        assert len(desk.operations.history(NAMESPACE, name)) == 1

        made = desk.decide(Kind.PROMOTE, assessment, note=LEAD, override=True)
        assert made.overridden == assessment.blockers
        assert "overridden" in desk.operations.history(NAMESPACE, name)[1].why
        assert "43 %" in desk.client.get_run(runs.second).data.tags["decant.overridden"]

    def test_promoting_against_an_open_verdict_needs_an_override_and_keeping_does_not(
        self, desk: Desk, runs: Pair, name: str
    ) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name, "running")
        with pytest.raises(InvalidInput, match="Keep running"):
            desk.decide(Kind.PROMOTE, assessment, note=LEAD)
        assert desk.decide(Kind.KEEP, assessment, note=LEAD).overridden == ()

    def test_a_verdict_that_changed_while_somebody_read_it_is_not_decided_on(
        self, desk: Desk, runs: Pair, name: str
    ) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        seen = desk.start(name)
        desk.assess(name, "distrust")
        for override in (False, True):  # what is overridden is what was seen
            with pytest.raises(VerdictChanged) as refused:
                desk.decide(Kind.PROMOTE, seen, note=LEAD, override=override)
            assert str(refused.value) == (
                "The verdict changed while you were reading: it was Ship B, it is Do not trust yet. "
                "Look again, then decide."
            )
        assert desk.decisions.recent(NAMESPACE, name) == []
        made = desk.decide(Kind.PROMOTE, refused.value.now, note=LEAD, override=True)
        assert (made.verdict, made.overridden) == ("Do not trust yet", refused.value.now.blockers)

    def test_without_having_seen_any_it_is_decided_on_what_the_evidence_says_now(
        self, desk: Desk, runs: Pair, name: str, tmp_path: Path
    ) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.start(name)
        desk.assess(name, "keep")
        with pytest.raises(InvalidInput, match="The verdict is another"):
            desk.decisions.decide(Kind.PROMOTE, NAMESPACE, name, note=LEAD)
        made = desk.decisions.decide(Kind.KEEP, NAMESPACE, name, note=LEAD)
        assert made.verdict == "Keep A"
        said = document(desk.client, runs.first, made.id, tmp_path)
        assert said["evidence"]["call"] == "Keep A"  # type: ignore[index]

    def test_an_override_that_was_not_needed_is_none(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD, override=True)
        assert made.overridden == ()

    def test_a_reason_is_required(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        with pytest.raises(InvalidInput, match="reason"):
            desk.decide(Kind.PROMOTE, desk.start(name), note=ChangeNote("lead"))

    def test_a_decided_test_is_not_decided_again(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)
        desk.decide(Kind.PROMOTE, assessment, note=LEAD)
        with pytest.raises((InvalidInput, NotFound)):
            desk.decide(Kind.PROMOTE, assessment, note=LEAD)
        assert len(desk.decisions.recent(NAMESPACE, name)) == 1

    def test_another_model_than_the_tests_is_not_promoted(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)
        desk.deploy(name, {"a": runs.first, "b": None})
        with pytest.raises(Conflict, match="b serves another model"):
            desk.decide(Kind.PROMOTE, assessment, note=LEAD)

    def test_an_arm_that_does_not_serve_cannot_win(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "b"] = (Phase.FAILED, "no memory is left")
        with pytest.raises(Unavailable, match="no memory is left"):
            desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.decide(Kind.KEEP, desk.start(name, "keep"), note=LEAD).state is State.DONE

    def test_what_it_would_change_is_said_before(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        said = " ".join(desk.decisions.preview(Kind.PROMOTE, desk.start(name)))
        assert "All traffic of a and b goes to b at once" in said
        assert f"the alias champion of {name} names a new version" in said
        assert desk.client.search_registered_models(f"name = '{name}'") == []


class TestUndo:
    def test_everything_is_as_before(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        undone = desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert (undone.id, undone.state, undone.undone_who) == (made.id, State.UNDONE, "bob")
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.alias(name) is None
        for run in (runs.first, runs.second):
            tags = desk.client.get_run(run).data.tags
            assert tags["decant.decision_state"] == "undone by bob: it smells of cork"
        assert "undone.json" in artifacts(desk.client, runs.second, made.id)
        newest = desk.operations.history(NAMESPACE, name)[0]
        assert (newest.what, newest.who) == ("undo-decision", "bob")
        assert "it smells of cork" in newest.why
        with pytest.raises(NotFound):
            desk.decisions.undo(NAMESPACE, name, note=BOB)

    def test_it_never_overwrites_a_later_change(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        promoted = desk.engine.get(NAMESPACE, name).deployment
        scaled = replace(promoted, predictors=(replace(promoted.predictors[0], replicas=3),))
        desk.operations.apply(scaled, note=ChangeNote("carol"))
        with pytest.raises(Conflict, match="carol"):
            desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == scaled.predictors
        assert desk.alias(name) == "1"
        assert desk.decisions.recent(NAMESPACE, name)[0].state is State.DONE

    def test_an_alias_that_was_moved_since_stays(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        source = f"models:/{desk.model_of(runs.first)}"
        desk.client.create_model_version(name, source, run_id=runs.first)
        desk.client.set_registered_model_alias(name, "champion", "2")
        undone = desk.decisions.undo(NAMESPACE, name, note=BOB)
        assert (undone.state, desk.alias(name)) == (State.UNDONE, "2")
        assert any("moved since, to v2" in gap for gap in undone.gaps)

    def test_it_takes_back_the_decision_that_is_meant_or_none(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        first = desk.decide(Kind.END, desk.start(name), note=LEAD)
        newer = desk.decide(Kind.END, desk.start(name), note=ChangeNote("carol", "no use"))
        with pytest.raises(
            Conflict, match=rf"decision {newer.id} \(end-test\) by carol is newer than decision {first.id}"
        ):
            desk.decisions.undo(NAMESPACE, name, note=BOB, decision=first.id)
        assert {d.state for d in desk.decisions.recent(NAMESPACE, name)} == {State.DONE}

        assert desk.decisions.undo(NAMESPACE, name, note=BOB, decision=newer.id).id == newer.id
        with pytest.raises(Conflict, match="bob has taken it back: it smells of cork"):
            desk.decisions.undo(NAMESPACE, name, note=LEAD, decision=newer.id)
        with pytest.raises(NotFound):
            desk.decisions.undo(NAMESPACE, "another", note=BOB, decision=first.id)
        assert desk.decisions.get(first.id).state is State.DONE
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors

    def test_the_history_does_not_undo_half_a_decision(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        with pytest.raises(InvalidInput, match="decision") as refused:
            desk.operations.undo(NAMESPACE, name, note=BOB)
        assert f"undo-decision {name}" in refused.value.hint

    def test_the_decision_before_can_be_taken_back_next(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        first = desk.decide(Kind.KEEP, desk.start(name, "keep"), note=LEAD)
        alone = desk.engine.get(NAMESPACE, name).deployment
        second_arm = replace(before.predictor("b"), traffic=0)
        desk.operations.apply(replace(alone, predictors=(*alone.predictors, second_arm)), note=LEAD)
        desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        desk.decisions.undo(NAMESPACE, name, note=BOB)
        standing = desk.decisions.standing(NAMESPACE, name)
        assert standing is not None and standing.id == first.id
        with pytest.raises(Conflict):
            desk.decisions.undo(NAMESPACE, name, note=BOB)


class TestParts:
    def test_mlflow_down_from_the_start_changes_nothing(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)
        away = replace(desk.world, registry=Registry(f"http://127.0.0.1:{free_port()}"))
        with pytest.raises(Unavailable, match="Nothing has been changed"):
            Decisions(desk.store.decisions, away, desk.evidence.assess, lambda _: "", desk.store.leases).decide(
                Kind.PROMOTE, NAMESPACE, name, note=LEAD, seen=assessment
            )
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.decisions.recent(NAMESPACE, name) == []
        assert desk.store.tests.running(NAMESPACE, name) is not None

    def test_the_engine_going_away_is_waited_for(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)

        def cut(step: str, _: str) -> None:
            desk.engine.down = "The engine" if step == "takeover" else ""

        made = desk.decide(Kind.PROMOTE, assessment, note=LEAD, tell=cut)
        assert (made.state, made.waiting) == (State.DOING, f"The engine does not answer. {AGAIN}")
        desk.engine.down = ""
        assert desk.decisions.settle(NAMESPACE, name) == []
        assert desk.decisions.get(made.id).state is State.DONE

    def test_one_that_was_begun_on_another_engine_is_left_alone(
        self, desk: Desk, runs: Pair, name: str, tmp_path: Path
    ) -> None:
        """Two machines with an engine each share a store: the other one cannot see the deployment."""
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "a"] = (Phase.LOADING, "")
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert made.state is State.DOING
        record = desk.store.decisions.get(made.id)

        engine = MemoryEngine()
        there = replace(
            desk.world,
            engine=engine,
            operations=Operations(engine, desk.store),
            identity=lambda: installation(tmp_path / "another"),
        )
        others = Decisions(desk.store.decisions, there, desk.evidence.assess, render_report, desk.store.leases)
        (left,) = others.settle()
        assert left.id == made.id and "begun on the local engine of installation" in left.waiting
        assert desk.store.decisions.get(made.id) == record, "nothing was noted, done or taken back"
        (shown,) = others.recent(NAMESPACE, name)
        assert shown.waiting == left.waiting
        with pytest.raises(Conflict, match="leaves it alone"):
            others.undo(NAMESPACE, name, note=BOB)

        desk.engine.phases.clear()
        assert desk.decisions.settle() == []
        assert desk.decisions.get(made.id).state is State.DONE
        assert others.recent(NAMESPACE, name)[0].waiting == ""
        with pytest.raises(Conflict, match="begun on the local engine of installation"):
            others.undo(NAMESPACE, name, note=BOB)

    def test_one_from_before_engines_were_noted_is_gone_on_with(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "a"] = (Phase.LOADING, "")
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        old = dict(desk.store.decisions.get(made.id).evidence)
        del old["engine"], old["engine_words"]
        assert desk.store.decisions.move(made.id, [State.DOING], evidence=old)
        desk.engine.phases.clear()
        assert desk.decisions.settle() == []
        assert desk.decisions.get(made.id).state is State.DONE

    def test_one_that_breaks_does_not_stop_the_others(
        self, desk: Desk, runs: Pair, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = desk.store.tests.start(NAMESPACE, "cellar", {}, "a", "b", "ann")
        broken = desk.store.decisions.add(
            other.id, NAMESPACE, "cellar", call="promote", winner="b", who="ann", why="", evidence={"kind": "no plan"}
        )
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        desk.engine.phases[NAMESPACE, name, "a"] = (Phase.LOADING, "")
        made = desk.decide(Kind.PROMOTE, desk.start(name), note=LEAD)
        assert made.id > broken.id, "the broken one must come first"
        desk.engine.phases.clear()
        desk.decisions.settle()
        assert desk.decisions.get(made.id).state is State.DONE
        assert f"decision {broken.id} on {NAMESPACE}/cellar broke" in caplog.text
        assert [record.id for record in desk.store.decisions.unfinished()] == [broken.id]

    def test_a_refused_alias_takes_everything_back(self, desk: Desk, runs: Pair, name: str) -> None:
        before = desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)

        def spoil(step: str, _: str) -> None:
            if step == "alias":  # a version that is deleted in this very moment cannot be the champion
                desk.client.delete_model_version(name, "1")

        with pytest.raises(NotFound, match=f"{name} v1"):
            desk.decide(Kind.PROMOTE, assessment, note=LEAD, tell=spoil)
        newest = desk.decisions.recent(NAMESPACE, name)[0]
        assert (newest.state, newest.undone_who) == (State.UNDONE, "Decant")
        assert desk.engine.get(NAMESPACE, name).deployment.predictors == before.predictors
        assert desk.alias(name) is None
        assert desk.store.tests.running(NAMESPACE, name) is not None

    def test_a_run_that_is_deleted_meanwhile_is_a_gap(self, desk: Desk, runs: Pair, name: str) -> None:
        desk.deploy(name, {"a": runs.first, "b": runs.second})
        assessment = desk.start(name)

        def spoil(step: str, _: str) -> None:
            if step == "run tags":
                desk.client.delete_run(runs.first)

        made = desk.decide(Kind.PROMOTE, assessment, note=LEAD, tell=spoil)
        assert made.state is State.DONE
        assert any(runs.first in gap for gap in made.gaps)
