"""The Traffic page from the real entry point: one request and replays; full, empty, broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.data.pandas_dataset import from_pandas

from app import reads
from services.domain import Deployment, OutcomeStatus, Predictor
from services.health import HealthChecks
from services.jobs.queue import open_queue
from services.jobs.replay_values import progress_to_json
from services.jobs.replays import ReplayJobs
from services.jobs.states import JobState
from services.operations import Operations
from services.traffic.replay import Progress, ReplayMode
from services.traffic.rewards import Reward, RewardKind
from services.verdict.reading import Sources
from services.verdict.rule import Rule
from services.verdict.service import Verdicts
from tests.apptest.conftest import NOTE, Dashboard, texts
from tests.support.memory_engine import MemoryEngine
from tests.support.runs import Seeded
from tests.support.seldon_stub import SeldonStub
from tests.support.tracking import tracking_at


@dataclass
class Live:
    """A dashboard with one deployment, `seldon/wine`, behind a gateway that answers."""

    dashboard: Dashboard
    gateway: SeldonStub

    @property
    def services(self):
        return self.dashboard.services

    def open(self, **query: str):
        return self.dashboard.open("traffic", deployment="seldon/wine", **query)

    def work(self) -> None:
        """Do what a worker would: run everything that is queued."""
        for replay in reversed(self.services.replays.recent()):
            if not replay.state.final:
                self.services.replays.run(replay.id)


@pytest.fixture
def live(seeded: Seeded, dashboard: Dashboard) -> Iterator[Live]:
    with SeldonStub(offsets={"a": 0.0, "b": 1.0}) as gateway:
        engine = MemoryEngine(gateway.url)
        built = dashboard.services
        dashboard.use(
            engine=engine,
            operations=Operations(engine, built.store),
            replays=ReplayJobs(built.store, open_queue(built.settings), engine, built.settings),
        )
        arms = [(name, built.models.resolve(run)) for name, run in (("a", seeded.first), ("b", seeded.second))]
        predictors = tuple(
            Predictor(name, model.uri, share, provenance=model.provenance)
            for (name, model), share in zip(arms, (80, 20), strict=True)
        )
        dashboard.services.operations.apply(Deployment("seldon", "wine", predictors), note=NOTE)
        yield Live(dashboard, gateway)


def send(app):
    return app.button(key="FormSubmitter:trial-Send").click().run()


def button(app, label: str):
    return next(b for b in app.button if b.label == label)


def select(app, label: str):
    return next(s for s in app.selectbox if s.label == label)


def test_without_a_deployment_it_leads_to_one(dashboard: Dashboard):
    app = dashboard.open("traffic")
    assert "no deployment" in texts(app)
    button(app, "Deploy a model").click().run()
    assert app.title[0].value == "Deploy"


def test_the_engine_down(dashboard: Dashboard):
    dashboard.engine.down = "The controller"
    app = dashboard.open("traffic")
    assert not app.exception
    assert "The controller does not answer" in texts(app)


class TestOneRequest:
    def test_the_form_is_the_signature_filled_with_its_example(self, live: Live):
        app = live.open()
        fields = {f.label: f.value for f in app.number_input}
        assert fields["alcohol"] == 8.8
        assert fields["pH"] == 3.0

    def test_each_arm_answers_the_same_row(self, live: Live):
        app = live.open()
        next(f for f in app.number_input if f.label == "alcohol").set_value(9.25)
        send(app)
        assert not app.exception
        said = texts(app)
        assert said.count("puid") == 2
        assert "Prediction 9.25" in said
        assert "Prediction 10.25" in said
        assert "Difference B − A: **+1**" in said
        assert {arm for _, arm in live.gateway.predictions} == {"a", "b"}
        code = "\n".join(block.value for block in app.code)
        assert "curl -s -X POST" in code
        assert "SeldonClient(" in code
        outcomes = live.services.store.outcomes("seldon", "wine")
        assert {(o.predictor, o.segment, o.status) for o in outcomes} == {
            ("a", "pinned:a", OutcomeStatus.OK),
            ("b", "pinned:b", OutcomeStatus.OK),
        }
        assert live.gateway.feedback == []

    def test_with_a_true_value_each_arm_earns_a_reward_that_stays_in_the_ledger(self, live: Live):
        app = live.open()
        app.text_input(key="trial-truth").set_value("8.8")
        send(app)
        assert live.gateway.feedback == []
        said = texts(app)
        assert "Reward, in the ledger 1" in said and "Reward sent" not in said
        assert {o.reward for o in live.services.store.outcomes("seldon", "wine")} == {1.0, 0.5}

    def test_through_the_split_the_reward_is_sent(self, live: Live):
        app = live.open()
        app.segmented_control(key="trial-mode").set_value("Through the split").run()
        app.text_input(key="trial-truth").set_value("8.8")
        send(app)
        ((_, _, reward),) = live.gateway.feedback
        (found,) = live.services.store.outcomes("seldon", "wine")
        assert found.reward == reward and reward in (1.0, 0.5)
        said = texts(app)
        assert "Reward sent" in said and "in the ledger" not in said

    def test_the_tutorials_reward_carries_its_warning(self, live: Live):
        app = live.open()
        app.selectbox(key="trial-reward").set_value(RewardKind.TUTORIAL)
        send(app)
        assert "This reward has no mean" in texts(app)

    def test_through_the_split_one_arm_answers(self, live: Live):
        app = live.open()
        app.segmented_control(key="trial-mode").set_value("Through the split").run()
        send(app)
        assert len(live.gateway.predictions) == 1
        assert "by the split" in "\n".join(e.proto.body for e in app.get("html"))

    def test_a_refusal_of_the_model_stands_beside_the_others_answer(self, live: Live):
        live.gateway.dead_arms = {"b"}
        app = live.open()
        send(app)
        assert not app.exception
        assert "Prediction 8.8" in texts(app)
        assert "answered 503" in texts(app)
        failed = [o for o in live.services.store.outcomes("seldon", "wine") if o.predictor == "b"]
        assert failed[0].status is OutcomeStatus.PREDICTION_FAILED

    def test_the_words_of_a_400_are_shown(self, live: Live):
        live.gateway.bad_values = {8.8}
        app = live.open()
        send(app)
        assert "answered 400" in texts(app)

    def test_without_a_signature_the_row_is_json(self, live: Live):
        live.dashboard.deploy("bare")  # its models are not in MLflow
        app = live.dashboard.open("traffic", deployment="seldon/bare")
        assert "write the row as JSON" in texts(app)
        app.text_area[0].set_value("[3.5, ")
        send(app)
        assert not app.exception
        assert "is not JSON" in texts(app)
        app.text_area[0].set_value("[3.5, 1]")
        send(app)
        assert "Prediction 3.5" in texts(app)


class TestReplay:
    @pytest.fixture
    def source(self, live: Live, tmp_path: Path) -> Path:
        path = tmp_path / "rows.csv"
        path.write_text("alcohol,pH,quality\n" + "\n".join(f"{i}.5,3.1,{i}" for i in range(40)))
        return path

    def open(self, live: Live, source: Path | None = None):
        app = live.open(sending="Replay")
        if source is not None:
            select(app, "Data").set_value("upload").run()
            app.file_uploader[0].upload(source.name, source.read_bytes(), "text/csv").run()
        return app

    def test_the_wine_does_not_fit_another_model_and_says_why(self, live: Live):
        app = self.open(live)
        assert not app.exception
        assert select(app, "Target (the truth)").value == "quality"
        assert select(app, "Reward").value is RewardKind.BOUNDED
        assert "and 3 more are not sent" in texts(app)
        assert "All 2 columns that the model wants are there" in texts(app)
        select(app, "Target (the truth)").set_value("alcohol").run()
        assert "does not fit the model" in texts(app)
        assert button(app, "Start replay").disabled

    def test_an_upload_is_replayed_and_its_progress_read_from_the_store(self, live: Live, source: Path):
        app = self.open(live, source)
        button(app, "Start replay").click().run()
        assert not app.exception
        replay = live.services.replays.recent()[0]
        assert (replay.state, replay.total, replay.who) == (JobState.QUEUED, 40, "ann")
        assert replay.spec.target == "quality"
        again = live.open(sending="Replay")  # a new tab knows of it
        assert f"Replay {replay.id}" in texts(again)
        live.work()
        done = live.open(sending="Replay", replay=str(replay.id))
        assert "Past replays" in texts(done)
        assert "40 of 40 rows" in str([p.proto.text for p in done.get("progress")])
        counters = {c.predictor: c for c in live.services.replays.get(replay.id).arms}
        assert f"Mean reward, n {counters['a'].reward_n}" in texts(done)
        assert sum(c.sent for c in counters.values()) == 40

    def test_one_arm_with_a_rate_and_the_tutorials_reward(self, live: Live, source: Path):
        app = self.open(live, source)
        select(app, "Reward").set_value(RewardKind.TUTORIAL).run()
        assert "This reward has no mean" in texts(app)
        app.segmented_control(key="replay-mode").set_value("One arm").run()
        select(app, "Arm").set_value("b").run()
        app.number_input(key="replay-rate").set_value(500.0).run()
        button(app, "Start replay").click().run()
        spec = live.services.replays.recent()[0].spec
        assert (spec.predictor, spec.rate, spec.reward.kind) == ("b", 500.0, RewardKind.TUTORIAL)

    def test_the_reward_is_that_of_the_running_test_and_another_is_said_not_to_count(self, live: Live, source: Path):
        rule = Rule(reward=Reward(RewardKind.BOUNDED, scale=0.5))
        built = live.services
        sources = Sources(built.store, built.engine, built.metrics, built.models, built.runs, built.settings)
        live.dashboard.use(verdicts=Verdicts(sources))
        live.services.verdicts.start("seldon", "wine", rule, note=NOTE)
        app = self.open(live, source)
        assert select(app, "Reward").value is RewardKind.BOUNDED
        assert "do not count in it" not in texts(app)
        select(app, "Reward").set_value(RewardKind.HIT).run()
        assert "do not count in it" in texts(app) and "keep its counters from being read" in texts(app)
        app.segmented_control(key="replay-mode").set_value("One arm").run()
        assert "do not count in it" not in texts(app)

    def test_classes_default_to_hit_or_miss(self, live: Live, tmp_path: Path):
        path = tmp_path / "classes.csv"
        path.write_text("alcohol,pH,colour\n9,3,red\n10,3,white\n")
        app = self.open(live, path)
        assert select(app, "Reward").value is RewardKind.HIT

    def test_cancel_and_go_on(self, live: Live, source: Path):
        app = self.open(live, source)
        button(app, "Start replay").click().run()
        button(app, "Cancel").click().run()
        replay = live.services.replays.recent()[0]
        assert replay.state is JobState.CANCELLED
        app = live.open(sending="Replay", replay=str(replay.id))
        button(app, "Go on").click().run()
        assert live.services.replays.get(replay.id).state is JobState.QUEUED
        live.work()
        assert live.services.replays.get(replay.id).state is JobState.DONE

    def test_a_pause_holds_it_until_somebody_goes_on(self, live: Live, source: Path):
        app = self.open(live, source)
        button(app, "Start replay").click().run()
        button(app, "Pause").click().run()
        replay = live.services.replays.recent()[0]
        assert replay.state is JobState.PAUSED
        live.services.replays.run(replay.id)  # whatever the worker is told, it lets it be
        assert live.services.replays.get(replay.id).done_rows == 0
        app = live.open(sending="Replay")
        assert "0 of 40 rows · paused" in str([p.proto.text for p in app.get("progress")])
        button(app, "Go on").click().run()
        live.work()
        assert live.services.replays.get(replay.id).state is JobState.DONE

    def test_in_pairs_both_arms_get_every_row_and_no_counter_moves(self, live: Live, source: Path):
        app = self.open(live, source)
        app.segmented_control(key="replay-mode").set_value("Paired").run()
        assert "at once, past the split" in texts(app)
        button(app, "Start replay").click().run()
        live.work()
        replay = live.services.replays.recent()[0]
        assert (replay.spec.mode, replay.spec.arms, replay.done_rows) == (ReplayMode.PAIRED, ("a", "b"), 40)
        assert {arm.predictor: arm.sent for arm in replay.arms} == {"a": 40, "b": 40}
        assert live.gateway.feedback == []
        app = live.open(sending="Replay", replay=str(replay.id))
        assert "in pairs to a and b" in texts(app)

    def test_a_shared_replay_says_who_sends_it_and_what_keeps_them(self, live: Live, source: Path):
        app = self.open(live, source)
        button(app, "Start replay").click().run()
        replay = live.services.replays.recent()[0]
        held = "2 of 4 senders run; 2 cannot be scheduled: 0/3 nodes are available."
        told = Progress(12, (), 30.0, (), 0.97, held, senders=4, sent_by="4 senders (Job decant-replay-7)")
        running = {"state": "running", "cursor": 12, "counters": progress_to_json(told)}
        assert live.services.store.replays.move(replay.id, ["queued"], **running)
        shown = texts(live.open(sending="Replay"))
        assert "Sent by 4 senders (Job decant-replay-7)" in shown and "2 cannot be scheduled" in shown
        assert "the busiest of 4 takes 97%" in shown

    def test_a_pair_needs_two_arms(self, live: Live, source: Path):
        live.dashboard.deploy("alone", {"a": 100})
        app = live.dashboard.open("traffic", deployment="seldon/alone", sending="Replay")
        app.segmented_control(key="replay-mode").set_value("Paired").run()
        assert "A pair needs two arms" in texts(app)
        assert button(app, "Start replay").disabled

    def test_a_random_sample_shuffled_twice(self, live: Live, source: Path):
        app = self.open(live, source)
        next(f for f in app.number_input if f.label == "Rows").set_value(10).run()
        app.segmented_control(key="replay-which").set_value("At random").run()
        app.toggle(key="replay-shuffled").set_value(True).run()
        app.number_input(key="replay-seed").set_value(5).run()
        app.number_input(key="replay-passes").set_value(2).run()
        button(app, "Start replay").click().run()
        replay = live.services.replays.recent()[0]
        spec = replay.spec
        assert (spec.rows, spec.sample_seed, spec.shuffle_seed, spec.passes, replay.total) == (10, 5, 5, 2, 20)
        live.work()
        sent = [puid for puid, _ in live.gateway.predictions]
        assert len(sent) == len(set(sent)) == 20

    def test_a_preview_shows_both_arms_and_records_nothing(self, live: Live, source: Path):
        app = self.open(live, source)
        button(app, "Preview on 200 rows").click().run()
        assert not app.exception
        assert "40 rows to each arm; nothing was recorded" in texts(app)
        assert "n 40" in texts(app)
        assert sorted(arm for _, arm in live.gateway.predictions) == ["a"] * 40 + ["b"] * 40
        assert live.gateway.feedback == [] and live.services.store.outcomes("seldon", "wine") == []
        before = len(live.gateway.predictions)
        select(app, "Reward").set_value(RewardKind.ABSOLUTE).run()
        assert "mean reward **−0.5**" in texts(app), "the first arm is half a point off, each time"
        assert "lives in the ledger alone" in texts(app)
        assert len(live.gateway.predictions) == before, "another reward is judged on the same answers"

    def test_the_suggested_scale_is_taken_and_frozen(self, live: Live, tmp_path: Path):
        path = tmp_path / "errors.csv"
        path.write_text("alcohol,pH,quality\n" + "\n".join(f"{i},3.1,{i + 4 * (i % 2)}" for i in range(50)))
        app = self.open(live, path)
        button(app, "Preview on 200 rows").click().run()
        button(app, "Take 2.02 as scale").click().run()
        assert "The scale is that of the champion's errors" in texts(app)
        button(app, "Start replay").click().run()
        assert live.services.replays.recent()[0].spec.reward.scale == 2.02

    def test_a_preview_warns_of_a_reward_that_one_row_decides(self, live: Live, tmp_path: Path):
        path = tmp_path / "lucky.csv"
        path.write_text(
            "alcohol,pH,quality\n" + "\n".join(f"{i},3.1,{i + (0.01 if i == 7 else 2)}" for i in range(150))
        )
        app = self.open(live, path)
        select(app, "Reward").set_value(RewardKind.TUTORIAL).run()
        button(app, "Preview on 200 rows").click().run()
        assert "Single requests decide this reward" in texts(app)

    def test_a_formula_is_read_before_anything_is_sent(self, live: Live, source: Path):
        app = self.open(live, source)
        select(app, "Reward").set_value(RewardKind.FORMULA).run()
        assert not button(app, "Start replay").disabled

        def type_formula(text: str) -> None:
            next(f for f in app.text_input if f.label == "Formula over y and y_pred").set_value(text).run()

        type_formula("(y - y_pred)^2")
        assert "Write \\*\\* for a power" in texts(app)
        assert button(app, "Start replay").disabled
        type_formula("log(-1 - y_pred*y_pred)")
        assert "no finite value" in texts(app)
        assert button(app, "Start replay").disabled
        type_formula("max(0, 1 - abs(y - y_pred))")
        button(app, "Start replay").click().run()
        live.work()
        assert live.gateway.reward_sums()["a"][1] == pytest.approx(0.5 * live.gateway.reward_sums()["a"][0])

    @pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow, on whole numbers and on its own sources
    def test_a_dataset_that_a_run_has_logged(self, live: Live, source: Path):
        uri = live.services.settings.tracking_uri
        frame = pd.read_csv(source)
        with tracking_at(uri), mlflow.start_run(run_name="with-data") as run:
            mlflow.log_input(from_pandas(frame[:10], source=str(source), targets="quality", name="few"), context="test")
            mlflow.log_input(from_pandas(frame, targets="quality", name="from-code"))
        reads.forget()
        app = live.open(sending="Replay")
        select(app, "Data").set_value("logged").run()
        select(app, "Run").set_value(run.info.run_id).run()
        assert "The run logged 10 of them as test; a replay sends rows of the whole file" in texts(app)
        assert str(source) in texts(app).replace("\\", "")
        button(app, "Start replay").click().run()
        replay = live.services.replays.recent()[0]
        assert (replay.total, replay.spec.label) == (40, "few of with-data")
        select(app, "Dataset of the run").set_value(1).run()
        assert "“from-code” cannot be loaded" in texts(app)
        assert "keeps no copy of its rows" in texts(app)

    def test_failed_rows_show_their_errors(self, live: Live, source: Path):
        live.gateway.bad_values = {3.5}
        app = self.open(live, source)
        button(app, "Start replay").click().run()
        live.work()
        replay = live.services.replays.recent()[0]
        app = live.open(sending="Replay", replay=str(replay.id))
        assert "1 failed" in texts(app)
        assert any("Last errors" in e.label for e in app.expander)

    def test_a_file_that_is_no_table_is_explained(self, live: Live, tmp_path: Path):
        path = tmp_path / "junk.csv"
        path.write_bytes(b"\x00\x01\x02")
        app = self.open(live, path)
        assert not app.exception
        assert "is not a CSV file" in texts(app)

    def test_without_a_worker_it_says_so(self, live: Live):
        def silent() -> str:
            from services.errors import Unavailable

            raise Unavailable("The worker", "", "Start Decant with make run.")

        live.dashboard.use(health=HealthChecks({"Worker": silent}))
        app = live.open(sending="Replay")
        assert "The worker does not run" in texts(app)
        assert not button(app, "Start replay").disabled
