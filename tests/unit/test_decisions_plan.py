"""What a decision makes of a deployment, what stands in its way, and its words. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.components.history import describe
from services.decisions import words as decision_words
from services.decisions.backward import STEPS as BACKWARD
from services.decisions.evidence import evidence, summary
from services.decisions.forward import STEPS as FORWARD
from services.decisions.fresh import VerdictChanged, check_unchanged
from services.decisions.model import Decision, Kind, State, obstacles
from services.decisions.plan import Plan, Progress
from services.decisions.planning import gaps, registered_name
from services.decisions.target import target
from services.deployments.history_text import manifest_text
from services.domain import Change, Deployment, Parameter, Predictor, Provenance
from services.errors import InvalidInput, NotFound
from services.tracking.registry import Lineage
from services.verdict.model import Call, Light
from tests.support import verdicts

A = Predictor("a", "models:/m-1", traffic=60, replicas=3, node="old-node", provenance=Provenance(run_name="one"))
B = Predictor("b", "models:/m-2", traffic=30, parameters=(Parameter("xtype", "DataFrame"),))
C = Predictor("c", "models:/m-3", traffic=10)
WINE = Deployment("seldon", "wine", (A, B, C), (("team", "red"),))


class TestTarget:
    def test_promoting_goes_by_way_of_the_challengers_arm(self) -> None:
        found = target(WINE, Kind.PROMOTE, "a", "b")
        assert found.first is not None and found.last is not None
        assert found.first.validated().split.as_dict() == {"a": 0, "b": 90, "c": 10}
        assert [p.model_uri for p in found.first.predictors] == ["models:/m-2", "models:/m-2", "models:/m-3"]
        assert found.last.validated().split.as_dict() == {"a": 90, "c": 10}
        a = found.last.predictor("a")
        assert (a.model_uri, a.parameters, a.replicas, a.node) == ("models:/m-2", B.parameters, 3, "old-node")
        assert found.last.predictor("c") == C and found.last.annotations == WINE.annotations

    def test_names_that_people_gave_stay_with_the_model(self) -> None:
        mild, bold = replace(A, name="mild", traffic=80), replace(B, name="bold", traffic=20)
        found = target(replace(WINE, predictors=(mild, bold)), Kind.PROMOTE, "mild", "bold")
        assert found.first is not None and found.last is None
        (alone,) = found.first.validated().predictors
        assert (alone.name, alone.model_uri, alone.traffic, alone.replicas) == ("bold", "models:/m-2", 100, 3)

    def test_where_an_arm_at_nothing_is_not_left_alone_the_winner_stays_where_it_runs(self) -> None:
        found = target(WINE, Kind.PROMOTE, "a", "b", unseen=False)
        assert found.first is not None and found.last is None and found.arm == "b"
        assert found.first.validated().split.as_dict() == {"b": 90, "c": 10}
        assert found.first.predictor("b").replicas == 3

    def test_keeping_gives_the_champion_the_traffic_of_both(self) -> None:
        found = target(WINE, Kind.KEEP, "a", "b")
        assert found.first is not None and found.last is None
        assert found.first.validated().split.as_dict() == {"a": 90, "c": 10}
        assert found.first.predictor("a") == replace(A, traffic=90)

    def test_a_shadow_can_win_but_not_be_the_champion(self) -> None:
        deployment = Deployment("seldon", "wine", (replace(A, traffic=100), replace(B, shadow=True, traffic=50)))
        found = target(deployment, Kind.PROMOTE, "a", "b")
        assert found.first is not None and found.last is not None
        assert found.first.validated().split.as_dict() == {"a": 0, "b": 100}
        assert found.last.validated().split.as_dict() == {"a": 100}
        with pytest.raises(InvalidInput, match="shadow"):
            target(deployment, Kind.KEEP, "b", "a")

    def test_the_end_of_a_test_moves_nothing_and_a_missing_arm_is_named(self) -> None:
        assert target(WINE, Kind.END, "a", "b").first is None
        with pytest.raises(NotFound, match="x"):
            target(WINE, Kind.PROMOTE, "a", "x")


@pytest.mark.parametrize(
    ("example", "promote", "keep"),
    [("ship", 0, 1), ("keep", 1, 0), ("running", 1, 0), ("fresh", 1, 0), ("distrust", 1, 1)],
)
def test_what_stands_in_the_way(example: str, promote: int, keep: int) -> None:
    assessment = verdicts.EXAMPLES[example]()
    found = {kind: obstacles(kind, assessment) for kind in Kind}
    assert [len(found[kind]) for kind in (Kind.PROMOTE, Kind.KEEP, Kind.END)] == [promote, keep, 0]


def test_sources_that_contradict_each_other_forbid_a_promotion_without_a_red_check() -> None:
    assessment = replace(verdicts.ship(), call=Call.DISTRUST, headline="Do not trust yet: two winners.")
    assert any("two winners" in said for said in obstacles(Kind.PROMOTE, assessment))


@pytest.mark.parametrize("example", list(verdicts.EXAMPLES))
def test_the_evidence_is_json_and_its_summary_one_line(example: str) -> None:
    assessment = verdicts.EXAMPLES[example]()
    data = json.loads(json.dumps(evidence(assessment), allow_nan=False))
    assert (data["call"], data["test"]["id"]) == (assessment.call.value, assessment.test.id)
    assert len(data["checks"]) == len(assessment.checks)
    assert "\n" not in summary(assessment) and summary(assessment).startswith(assessment.call.value)


def test_a_plan_and_its_progress_come_back_from_the_store_as_they_were() -> None:
    plan = Plan(
        kind=Kind.PROMOTE,
        test=3,
        a="a",
        b="b",
        winner="b",
        loser="a",
        before=manifest_text(WINE),
        first="",
        last="",
        version="7",
        arm="a",
        models={"a": Lineage("u", "r", "m", "s", (("wine", "3"), ("wine", "1"))), "b": Lineage("/folder")},
        name="wine",
        former=None,
        verdict="Ship B",
        summary="Ship B",
        overridden=("one",),
        gaps=(),
        evidence={"call": "Ship B"},
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.runs == {"a": "r"}
    assert decision_words.steps(plan).keys() == FORWARD.keys() | BACKWARD.keys(), "every step has its words"
    progress = Progress(begun=["deployment"], version="4", refused=True)
    progress.missed("one run")
    progress.missed("one run")
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress
    assert progress.gaps == ["one run"]


def test_checks_that_turned_red_or_are_no_longer_red_are_named() -> None:
    seen = verdicts.distrust()
    checks = {check.key: check for check in seen.checks}
    also = {**checks, "split": replace(checks["split"], light=Light.RED)}
    other = {**also, "reward": verdicts.ship().checks[3]}
    check_unchanged(seen, replace(seen, as_of=datetime.now(UTC), headline="other numbers"))
    for now, words in (
        (also, "“Split as configured” turned red."),
        (other, "“Split as configured” turned red and “Reward well-behaved” is no longer red."),
    ):
        found = replace(seen, checks=tuple(now.values()))
        with pytest.raises(VerdictChanged) as refused:
            check_unchanged(seen, found)
        assert refused.value.sentence == f"The checks changed while you were reading: {words}"
        assert refused.value.now is found


def decided(**more: Any) -> Decision:
    facts = {"kind": Kind.PROMOTE, "state": State.DONE, "winner": "b", "loser": "a", **more}
    return Decision(4, "seldon", "wine", test=3, who="lead", why="better", at=datetime.now(UTC), verdict="Ship B",
                    summary="Ship B; +0.004", **facts)  # fmt: skip


def test_a_line_of_the_list_says_what_was_overridden_and_who_took_it_back() -> None:
    undone = {"state": State.UNDONE, "undone_who": "bob", "undone_why": "cork"}
    for made, state, overridden, remarks in (
        (decided(), "done", "no", ()),
        (decided(state=State.DOING, waiting="It waits."), "under way", "no", ("It waits.",)),
        (decided(overridden=("43 %.",)), "done", "yes", ("overridden: 43 %.",)),
        (decided(**undone), "undone by bob", "no", ("undone by bob: cork",)),
        (decided(**{**undone, "state": State.UNDOING}), "being undone by bob", "no", ("being undone by bob: cork",)),
    ):
        line = dict(zip(decision_words.COLUMNS, decision_words.line(made, "12:03"), strict=True))
        assert (line["id"], line["when"], line["winner"]) == ("4", "12:03", "b")
        assert (line["state"], line["overridden"]) == (state, overridden)
        assert decision_words.remarks(made) == remarks


def test_which_registered_model_it_is_about() -> None:
    none, plain = Lineage("u", source="models:/m"), Lineage("/folder")
    cellar = replace(none, versions=(("cellar", "2"), ("wine", "1")))
    assert registered_name(cellar, none, None, "wine") == "wine", "the deployment's name, if the model is known by it"
    assert registered_name(cellar, none, "cellar", "wine") == "cellar", "the one it was deployed by"
    assert registered_name(none, replace(none, versions=(("b-side", "1"),)), None, "wine") == "b-side"
    assert registered_name(none, plain, None, "wine") == "wine"
    assert registered_name(plain, plain, None, "wine") == ""


def test_an_alias_that_cannot_follow_is_told() -> None:
    said = " ".join(gaps({"a": Lineage("u", "r", "m", "s"), "b": Lineage("/folder")}, "b", "wine", "3"))
    assert "The alias champion of wine still names v3" in said
    assert gaps({"a": Lineage("u", "r", "m", "s"), "b": Lineage("v", "q", "n", "t")}, "b", "wine", "3") == ()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("promote", "promoted: removed b"),
        ("undo-decision", "took back: removed b"),
        ("end-test", "ended its test"),
    ],
)
def test_the_history_tells_of_it(what: str, words: str) -> None:
    before, after = WINE, replace(WINE, predictors=(replace(A, traffic=90), C))
    texts = [manifest_text(before), manifest_text(before if what == "end-test" else after)]
    change = Change(datetime.now(UTC), "ann", what, "seldon", "wine", texts[0], texts[1])
    assert describe(change).startswith(words)
