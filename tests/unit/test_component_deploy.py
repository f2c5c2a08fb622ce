"""The pure parts of the Deploy page: the draft of a deployment, its names, its models, the observed split."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.components.arm_options import summary
from app.components.draft import ArmDraft, Extras, arm_name, compose, diff
from app.components.model_picker import choices, run_label
from app.components.observed import observe, split_since
from app.components.rollout import how_far, last_failure, replaced
from app.components.target import name_problem
from app.components.undelete import deleted
from services.deployments.history_text import manifest_text
from services.domain import (
    ArmOption,
    Change,
    Deployment,
    DeploymentStatus,
    Event,
    Phase,
    Predictor,
    PredictorStatus,
    Provenance,
    Resources,
)
from services.schema import Column, ColumnType, Signature, TensorSpec
from services.tracking.models import ModelRef
from services.tracking.runs import RegisteredVersion, Run

T = datetime(2026, 3, 1, tzinfo=UTC)


def model(uri: str, *names: str, tensors: tuple[TensorSpec, ...] = ()) -> ModelRef:
    signature = Signature(columns=tuple(Column(n, ColumnType.DOUBLE) for n in names), tensors=tensors)
    return ModelRef(uri, Provenance(run_id="r-" + uri), signature, None, ("sklearn",), "", "3.11", ())


A, B, C = model("models:/m-a", "x"), model("models:/m-b", "x"), model("models:/m-c", "x")
LIVE = Deployment(
    "seldon",
    "wine",
    (Predictor("main", "models:/m-1", 70, 2, node="classifier"), Predictor("try", "models:/m-2", 30)),
    annotations=(("team", "wine"),),
    protocol="v2",
)


class TestCompose:
    def test_new(self):
        made = compose("seldon", "wine", None, ArmDraft("a", 1, A), ArmDraft("b", 2, B), ArmDraft("c", 1, C), 20)
        assert made.validated().split.as_dict() == {"a": 80, "b": 20}
        assert [(p.name, p.replicas, p.shadow) for p in made.predictors] == [
            ("a", 1, False),
            ("b", 2, False),
            ("c", 1, True),
        ]
        assert made.predictor("c").traffic == 100, "a new shadow sees every request"
        assert made.predictors[0].provenance.run_id == "r-models:/m-a"
        assert made.predictors[0].parameters[0].value == "DataFrame"

    def test_alone(self):
        assert compose("seldon", "wine", None, ArmDraft("a", 1, A), None, None, None).split.as_dict() == {"a": 100}

    def test_untouched_is_equal(self):
        assert compose("seldon", "wine", LIVE, ArmDraft("main", 2), ArmDraft("try", 1), None, None) == LIVE

    def test_a_new_model_keeps_name_node_split_and_foreign_annotations(self):
        made = compose("seldon", "wine", LIVE, ArmDraft("main", 2), ArmDraft("try", 1, B), None, None)
        assert made.predictor("try").model_uri == "models:/m-b"
        assert made.predictor("main") == LIVE.predictor("main")
        assert made.split == LIVE.split
        assert made.annotations == LIVE.annotations

    def test_what_the_form_says_of_an_arm_is_taken_and_what_it_does_not_say_stays(self):
        had = replace(LIVE.predictors[0], env_secret="store", start_budget_s=600, resources=Resources("1", "1Gi"))
        live = replace(LIVE, predictors=(had, LIVE.predictors[1]))
        assert compose("seldon", "wine", live, ArmDraft("main", 2), ArmDraft("try", 1), None, None) == live
        said = Extras("", 900, Resources("1", "2Gi", memory_limit="2Gi"))
        made = compose("seldon", "wine", live, ArmDraft("main", 2, B, said), ArmDraft("try", 1), None, None)
        main = made.predictor("main")
        assert (main.env_secret, main.start_budget_s, main.resources) == ("", 900, said.resources)
        assert (main.model_uri, main.node) == ("models:/m-b", "classifier")
        assert Extras.of(main) == said
        assert made.predictor("try") == LIVE.predictor("try")

    def test_b_joins(self):
        alone = Deployment("seldon", "wine", (Predictor("a", "models:/m-1"),))
        made = compose("seldon", "wine", alone, ArmDraft("a", 1), ArmDraft("b", 1, B), None, 0)
        assert made.validated().split.as_dict() == {"a": 100, "b": 0}

    def test_a_shadow_joins_a_live_deployment(self):
        made = compose("seldon", "wine", LIVE, ArmDraft("main", 2), ArmDraft("try", 1), ArmDraft("c", 1, C), None)
        assert made.predictor("c").shadow
        assert made.predictor("c").traffic == 100

    @pytest.mark.parametrize("copied", [0, 25, 100])
    def test_a_third_live_arm_and_the_shadow_keep_what_they_are(self, copied: int):
        third = Predictor("third", "models:/m-3", 10)
        shadow = Predictor("dark", "models:/m-4", copied, shadow=True)
        live = replace(LIVE, predictors=(replace(LIVE.predictors[0], traffic=60), LIVE.predictors[1], third, shadow))
        made = compose("seldon", "wine", live, ArmDraft("main", 2), ArmDraft("try", 1), ArmDraft("dark", 1), None)
        assert made == live


def test_names_of_arms():
    assert arm_name(LIVE.predictors[0], "a", set()) == "main"
    assert arm_name(None, "b", {"a"}) == "b"
    assert arm_name(None, "b", {"b"}) == "b2"


def test_diff_of_manifests():
    assert diff(manifest_text(LIVE), manifest_text(LIVE)) == ""
    moved = replace(LIVE, predictors=(replace(LIVE.predictors[0], replicas=3), LIVE.predictors[1]))
    lines = diff(manifest_text(LIVE), manifest_text(moved)).splitlines()
    assert [line.split() for line in lines if line[0] in "+-" and "replicas" in line] == [
        ["-", "replicas:", "2"],
        ["+", "replicas:", "3"],
    ]


@pytest.mark.parametrize(
    ("namespace", "name", "words"),
    [
        ("seldon", "", "Give the deployment a name"),
        ("seldon", "Wine", "not a valid deployment name"),
        ("my_team", "wine", "not a valid namespace name"),
        ("seldon", "wine", "already a deployment"),
        ("seldon", "x" * 64, "1 to 63"),
    ],
)
def test_name_problems(namespace: str, name: str, words: str):
    assert words in name_problem(namespace, name, ["seldon/wine"])


def test_a_good_name_has_none():
    assert name_problem("seldon", "wine-2", ["seldon/wine"]) == ""


class TestChoices:
    RUN = Run("f" * 32, "elastic", "1", "FINISHED", T, T, "ann", {"alpha": "0.5"}, {"rmse": 0.8222}, {}, ("m-1",))

    def test_labels_are_unique_and_free_of_time(self):
        twin = replace(self.RUN, run_id="e" * 32)
        assert run_label(self.RUN) == "elastic · alpha=0.5 · rmse 0.8222 · ffffffff"
        assert run_label(self.RUN) != run_label(twin)

    def test_what_is_live_then_versions_then_runs_with_models(self):
        bare, old = (
            replace(self.RUN, run_id="b", models=()),
            replace(self.RUN, run_id="o", models=(), mlflow2_model=True),
        )
        several = replace(self.RUN, run_id="s", models=("m-2", "m-3"))
        version = RegisteredVersion("wine", "3", ("champion",), "r", "models:/wine/3")
        found = choices([self.RUN, bare, old, several], [version], LIVE.predictors[0])
        assert list(found) == ["models:/m-1", "models:/wine/3", "f" * 32, "o", "models:/m-2", "models:/m-3"]
        assert found["models:/wine/3"] == "wine v3 @champion (registered)"
        assert found["models:/m-1"].endswith("as it is live")
        assert len(set(found.values())) == len(found)


class TestObserved:
    def test_counts_beside_their_band(self):
        first, second = observe(replace(LIVE, predictors=_arms(80, 20)), {"a": 973, "b": 231})
        assert second.sentence.replace("\u202f", " ") == "B got 19.2 % of 1,204 requests; 15.9–24.1 % expected"
        assert not first.outside
        assert not second.outside

    def test_far_off_is_outside(self):
        assert all(o.outside for o in observe(replace(LIVE, predictors=_arms(80, 20)), {"a": 500, "b": 500}))

    def test_one_request_at_zero_percent_is_outside(self):
        second = observe(replace(LIVE, predictors=_arms(100, 0)), {"a": 99, "b": 1})[1]
        assert second.outside
        assert second.sentence.replace("\u202f", " ").endswith("of 100 requests; 0 % expected")

    def test_nothing_counted_is_nothing_observed(self):
        assert observe(LIVE, {}) == ()
        assert observe(LIVE, {"stranger": 5}) == ()

    def test_since_the_split_last_changed(self):
        applied = _change(1, "", manifest_text(replace(LIVE, predictors=_arms(80, 20))))
        moved = _change(2, "a=80,b=20", "a=70,b=30")
        scaled = _change(3, manifest_text(_wine(70, 30)), manifest_text(_wine(70, 30, replicas=3)))
        assert split_since([scaled, moved, applied], None) == moved.at
        assert split_since([applied], None) == applied.at
        assert split_since([], None) is None

    def test_since_another_tool_moved_it(self):
        """What the history does not tell yet, the engine knows."""
        moved = _change(2, "a=80,b=20", "a=70,b=30")
        now = DeploymentStatus(_wine(20, 80), "1", (), None, "kubectl-patch", T, managed_by="kubectl-patch")
        assert split_since([moved], now) == T
        assert split_since([], now) == T
        assert split_since([moved], replace(now, deployment=_wine(70, 30))) == moved.at
        assert split_since([moved], replace(now, managed_by="")) == moved.at


class TestFailure:
    LOADING = PredictorStatus("b", Phase.LOADING, 0, 1, "starting")
    WARNING = Event(T.replace(minute=5), "Warning", "no module xgboost", "b")

    def test_it_is_told_while_the_arm_is_tried_again(self):
        events = [self.WARNING, Event(T.replace(minute=6), "Normal", "loading", "b")]
        assert last_failure(self.LOADING, events, T) == "no module xgboost"

    def test_a_failure_before_the_change_or_of_another_arm_is_not(self):
        assert last_failure(self.LOADING, [self.WARNING], T.replace(minute=7)) == ""
        assert last_failure(replace(self.LOADING, name="a"), [self.WARNING], T) == ""

    def test_a_ready_arm_has_none(self):
        assert last_failure(replace(self.LOADING, phase=Phase.READY), [self.WARNING], T) == ""


class TestExtras:
    def test_nothing_is_wrong_with_nothing(self):
        assert Extras().problems("a") == []
        assert summary(Extras(), frozenset(ArmOption)) == ""

    def test_what_kubernetes_would_refuse_is_a_sentence(self):
        wrong = Extras("My Secret", 600, Resources("lots", "2Gi", "1", "1Gi"))
        secret, cpu, memory = wrong.problems("b")
        assert secret == "“My Secret”, the secret of b, is not a name that a Secret can have."
        assert cpu == "The cpu request of b is “lots”, not a quantity such as 500m or 2."
        assert memory == "The memory request of b (2Gi) is more than its limit (1Gi)."

    def test_what_is_set_is_said_in_a_line(self):
        said = summary(Extras("store", 1200, Resources("500m", "1Gi", "2", "1Gi")), frozenset(ArmOption))
        assert said.replace("\u202f", " ") == "may take 20 min to start, secret store, CPU 500m to 2, memory 1Gi"
        assert summary(Extras("store", 1200), {ArmOption.SECRET}) == "secret store"
        assert summary(Extras(resources=Resources(cpu_limit="2")), {ArmOption.RESOURCES}) == "CPU at most 2"


def test_deleted_are_those_whose_last_change_removed_them():
    back = [_change(4, "", "x"), _change(3, "x", "")]
    assert deleted(back, ["seldon/wine"]) == []
    gone = _change(5, "x", "", name="other")
    assert deleted([gone, *back], ["seldon/wine"]) == [gone]
    assert deleted([gone, *back], ["seldon/wine", "seldon/other"]) == [], "another tool has made it anew"


def _arms(first: int, second: int, replicas: int = 1) -> tuple[Predictor, ...]:
    return (Predictor("a", "models:/m-1", first, replicas), Predictor("b", "models:/m-2", second))


def _wine(first: int, second: int, replicas: int = 1) -> Deployment:
    return Deployment("seldon", "wine", _arms(first, second, replicas))


def _change(minute: int, before: str, after: str, name: str = "wine") -> Change:
    return Change(T.replace(minute=minute), "ann", "apply", "seldon", name, before, after)


def test_an_arm_that_waits_for_the_split_alone_has_no_model_before() -> None:
    waiting = PredictorStatus("a", Phase.READY, 1, 1, "waiting for Seldon's operator", updating=True)
    assert not replaced(waiting)
    assert replaced(replace(waiting, phase=Phase.LOADING))
    assert replaced(replace(waiting, reason=""))


def test_while_pods_are_replaced_the_arm_says_how_many_of_which() -> None:
    arm = PredictorStatus("a", Phase.LOADING, 1, 2, "its pods become ready", updating=True)
    assert how_far(arm) == "1 of 2 replicas ready"
    replacing = replace(arm, progress="1 of 2 new pods ready, 1 old one still answers")
    assert how_far(replacing) == "1 of 2 new pods ready, 1 old one still answers"
    assert replacing.said == "1 of 2 new pods ready, 1 old one still answers; its pods become ready"
