"""Which columns a replay sends: those that the models of its arms know, decided when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from app.cli import replay as replay_command
from app.cli.main import cli
from services.errors import NotFound
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.jobs.queue import open_queue
from services.jobs.replays import ReplayJobs
from services.jobs.states import JobState
from services.schema import Column, ColumnType, Signature
from services.settings import Settings
from services.traffic.columns import check_arms, sent_columns
from services.traffic.preview import summarise
from services.traffic.replay import ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.support.replay_worker import wine_engine
from tests.support.seldon_stub import SeldonStub

BOUNDED = Reward(RewardKind.BOUNDED)
SMALL, LARGE = "models:/m-1", "models:/m-2"


def named(*names: str) -> Signature:
    return Signature(columns=tuple(Column(name, ColumnType.DOUBLE, example=1.0) for name in names))


class TestSent:
    def test_what_no_model_names_is_left_out(self) -> None:
        assert sent_columns(["id", "x", "y"], [named("x"), named("y", "z")]) == ("x", "y")

    @pytest.mark.parametrize("signatures", [[], [Signature()], [named("x"), Signature()], [named("column 1")]])
    def test_without_names_to_go_by_all_are_sent(self, signatures: list[Signature]) -> None:
        assert sent_columns(["id", "x"], signatures) == ("id", "x")


class TestWords:
    frame = pd.DataFrame({"x": [1.0], "z": [2.0], "id": ["r1"], "quality": [5]})

    def test_of_two_models_that_want_the_same_it_is_said_once(self) -> None:
        fit = check_arms(self.frame, "quality", {"a": named("x", "z"), "b": named("x", "z")}, together=True)
        assert fit.notes == ("“id” is not sent: the model does not know it.",)

    def test_in_pairs_each_arm_is_sent_its_own(self) -> None:
        fit = check_arms(self.frame, "quality", {"a": named("x"), "b": named("x", "z")})
        assert fit.notes == (
            "Arm a: “z”, “id” are not sent: the model does not know them.",
            "Arm b: “id” is not sent: the model does not know it.",
        )

    def test_through_the_split_the_arm_that_may_refuse_is_named(self) -> None:
        fit = check_arms(self.frame, "quality", {"a": named("x"), "b": named("x", "z")}, together=True)
        assert fit.problems == () and len(fit.notes) == 2
        assert fit.notes[0] == "“id” is not sent: the model does not know it."
        assert fit.notes[1].startswith("Arm a: “z” is sent, because another arm's model may want it; this one does not")

    def test_what_one_of_them_lacks_is_a_problem_of_that_arm(self) -> None:
        fit = check_arms(self.frame, "quality", {"a": named("x"), "b": named("x", "w")})
        assert fit.problems == ("Arm b: The data lacks “w”, which the model wants.",)


@pytest.fixture
def stub() -> Iterator[SeldonStub]:
    with SeldonStub() as running:
        yield running


class Bench:
    """Replays of a file with a column `colour` to arms whose models are told by a table."""

    def __init__(self, folder: Path, stub: SeldonStub) -> None:
        self.known = {SMALL: named("x"), LARGE: named("x")}
        self.file = folder / "wines.csv"
        self.file.write_text("x,colour,z,quality\n" + "".join(f"{i}.5,red,{i},{i}\n" for i in range(8)))
        settings = Settings(state_dir=folder)
        self.database = open_database(settings.store_url)
        store = EvidenceStore(self.database)
        self.jobs = ReplayJobs(
            store, open_queue(settings), wine_engine(stub.url), settings, 5.0, 5.0, signature_of=self.signature
        )

    def signature(self, address: str) -> Signature:
        if address not in self.known:
            raise NotFound("model", address)
        return self.known[address]

    def spec(self, mode: ReplayMode = ReplayMode.LIVE, predictor: str | None = None) -> ReplaySpec:
        return ReplaySpec("seldon", "wine", str(self.file), "quality", BOUNDED, mode, predictor)


@pytest.fixture
def bench(tmp_path: Path, stub: SeldonStub) -> Iterator[Bench]:
    made = Bench(tmp_path, stub)
    yield made
    made.database.dispose()


@pytest.mark.parametrize("mode", [ReplayMode.LIVE, ReplayMode.PAIRED])
def test_a_column_that_the_models_do_not_know_is_not_sent(bench: Bench, stub: SeldonStub, mode: ReplayMode) -> None:
    stub.knows = {"a": {"x"}, "b": {"x"}}
    replay = bench.jobs.submit(bench.spec(mode), who="ann")
    bench.known.clear()  # what was decided is kept with the replay
    bench.jobs.run(replay.id)
    done = bench.jobs.get(replay.id)
    assert (done.state, done.done_rows, sum(arm.failed for arm in done.arms)) == (JobState.DONE, 8, 0)
    assert stub.names == ["x"]


def test_in_pairs_each_arm_gets_the_columns_of_its_own_model(bench: Bench, stub: SeldonStub) -> None:
    bench.known[LARGE] = named("z", "x")
    stub.knows = {"a": {"x"}, "b": {"x", "z"}}
    seen = summarise(bench.jobs.preview(bench.spec(ReplayMode.PAIRED), who="ann"), BOUNDED)
    assert [(arm.answered, arm.failed) for arm in seen.arms] == [(8, 0), (8, 0)]
    replay = bench.jobs.submit(bench.spec(ReplayMode.PAIRED), who="ann")
    bench.jobs.run(replay.id)
    assert {arm.predictor: (arm.sent, arm.failed) for arm in bench.jobs.get(replay.id).arms} == {
        "a": (8, 0),
        "b": (8, 0),
    }


def test_a_preview_of_live_traffic_sends_what_the_replay_would(bench: Bench, stub: SeldonStub) -> None:
    bench.known[LARGE] = named("x", "z")
    stub.knows = {"a": {"x"}, "b": {"x", "z"}}
    by_arm = {a.predictor: a for a in summarise(bench.jobs.preview(bench.spec(), who="ann"), BOUNDED).arms}
    assert (by_arm["a"].answered, by_arm["b"].answered) == (0, 8)
    assert "z" in by_arm["a"].error
    pinned = summarise(bench.jobs.preview(bench.spec(ReplayMode.PINNED, "a"), who="ann"), BOUNDED)
    assert [(arm.predictor, arm.answered, arm.failed) for arm in pinned.arms] == [("a", 8, 0)]


@pytest.mark.parametrize("known", [{}, {SMALL: Signature(), LARGE: Signature()}])
def test_without_a_signature_all_columns_are_sent(bench: Bench, stub: SeldonStub, known: dict[str, Signature]) -> None:
    bench.known = known
    replay = bench.jobs.submit(bench.spec(), who="ann")
    bench.jobs.run(replay.id)
    assert stub.names == ["x", "colour", "z"] and bench.jobs.get(replay.id).spec.columns == {}


class TestCommand:
    @pytest.fixture
    def decant(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, stub: SeldonStub) -> Callable[..., Result]:
        models = SimpleNamespace(resolve=lambda address: SimpleNamespace(signature=bench.signature(address)))
        settings = SimpleNamespace(user="ann", default_namespace="seldon")
        built = SimpleNamespace(
            engine=wine_engine(stub.url), models=models, replays=bench.jobs, settings=settings, entrance=""
        )
        monkeypatch.setattr(replay_command, "services", lambda: built)
        return lambda *more: CliRunner().invoke(cli, ["replay", "wine", "--dataset", str(bench.file), *more])

    def test_a_preview_says_what_is_not_sent(self, decant: Callable[..., Result], stub: SeldonStub) -> None:
        stub.knows = {"a": {"x"}, "b": {"x"}}
        done = decant("--preview", "--json")
        assert done.exit_code == 0, done.output
        assert "Careful: “colour”, “z” are not sent: the model does not know them." in done.stderr
        assert [arm["n"] for arm in json.loads(done.stdout)["arms"]] == [8, 8]

    def test_rows_without_a_truth_are_counted_before_and_in_the_preview(
        self, decant: Callable[..., Result], bench: Bench
    ) -> None:
        bench.file.write_text("x,quality\n1,1\n2,\n3,3\n4,\n5,5\n")
        done = decant("--preview", "--json")
        assert "2 of 5 rows have no value in the target “quality”: they are sent, and earn no reward." in done.stderr
        arms = [(arm["n"], arm["failed"], arm["without_truth"]) for arm in json.loads(done.stdout)["arms"]]
        assert arms == [(3, 0, 2), (3, 0, 2)]
        assert "2 rows have no truth and would earn nothing." in decant("--preview").stderr

    def test_a_preview_without_any_answer_ends_with_7(self, decant: Callable[..., Result], stub: SeldonStub) -> None:
        stub.knows = {"a": set(), "b": set()}
        done = decant("--preview")
        assert done.exit_code == 7 and "No row of the preview was answered." in done.stderr
        stub.knows = {"a": set()}
        assert decant("--preview").exit_code == 0

    def test_a_column_that_is_missing_stops_it(
        self, decant: Callable[..., Result], bench: Bench, stub: SeldonStub
    ) -> None:
        bench.known[LARGE] = named("x", "w")
        done = decant("--preview")
        assert done.exit_code == 2 and "Arm b: The data lacks “w”, which the model wants." in done.stderr
        assert stub.predictions == []

    @pytest.mark.parametrize("reward", ["absolute", "hit"])
    def test_a_scale_for_a_reward_without_one_is_refused(self, decant: Callable[..., Result], reward: str) -> None:
        done = decant("--preview", "--reward", reward, "--scale", "2")
        assert done.exit_code == 2 and "--scale goes with --reward bounded" in done.stderr
        assert decant("--preview", "--reward", reward).exit_code == 0
        assert decant("--preview", "--scale", "2").exit_code == 0
