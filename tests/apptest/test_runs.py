"""The Runs page from the real entry point: full, empty, broken."""

from __future__ import annotations

import pytest

from services.jobs.states import JobState
from services.tracking.runs import RunCatalogue
from tests.apptest.conftest import Dashboard, texts
from tests.support.runs import Seeded
from tests.support.waiting import free_port


def table(app):
    return app.dataframe[0].value


def test_empty_it_leads_to_training(dashboard: Dashboard):
    app = dashboard.open("runs")
    assert "There are no runs yet" in texts(app)
    next(b for b in app.button if b.label == "Train a model").click().run()
    assert not app.exception
    assert [field.label for field in app.text_input] >= ["Folder with an MLproject"]
    assert {"alpha (float)", "l1_ratio (float)"} <= {field.label for field in app.text_input}


class TestBrowse:
    @pytest.fixture
    def app(self, seeded: Seeded, dashboard: Dashboard):
        return dashboard.open("runs")

    def test_every_run_is_there_newest_first_mlflow_2_too(self, app):
        assert list(table(app)["name"]) == ["bare", "old-style", "elastic-b", "elastic-a"]
        assert table(app)["metric:rmse"].tolist()[1:] == [0.9, 0.8118, 0.8222]
        assert table(app)["param:alpha"].tolist()[2:] == [0.75, 0.5]  # numbers, so that they sort as such
        assert "4 runs" in texts(app)

    def test_a_filter_narrows_the_table(self, app):
        app.text_input(key="filter").set_value("metrics.rmse < 0.82").run()
        assert list(table(app)["name"]) == ["elastic-b"]

    def test_a_bad_filter_is_explained_with_an_example(self, app):
        app.text_input(key="filter").set_value("rmse << 3").run()
        assert not app.exception
        assert app.warning
        assert not app.code, "the panel itself shows the example"
        assert "A filter looks like this" in app.warning[0].value
        app.text_input(key="filter").set_value("metrics.rmse > 100").run()
        assert "No run matches" in texts(app)

    def test_only_differences_leaves_out_what_all_share(self, app):
        app.text_input(key="filter").set_value("metrics.rmse < 0.83").run()
        assert "param:seed" in table(app).columns
        app.toggle(key="only-differences").set_value(True).run()
        assert "param:seed" not in table(app).columns
        assert "param:alpha" in table(app).columns

    def test_columns_are_remembered_in_the_url(self, app, dashboard: Dashboard):
        picker = app.multiselect[0]
        picker.set_value(["metric:r2"]).run()
        assert list(table(app).columns) == ["name", "metric:r2"]
        again = dashboard.open("runs", columns=app.query_params["columns"])
        assert list(table(again).columns) == ["name", "metric:r2"]

    def test_an_experiment_that_is_gone_is_ignored(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", experiment="no-such")
        assert not app.exception
        assert len(table(app)) == 4


class TestTicked:
    def test_one_run_shows_all_about_it(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=seeded.first)
        said = texts(app)
        assert seeded.first in said
        assert "2 columns" in said or "alcohol" in str([d.value for d in app.dataframe])
        shown = "\n".join(code.value for code in app.code)
        assert "python_function" in shown  # the MLmodel text
        assert "MLmodel" in shown  # among the artifacts

    def test_two_runs_are_compared_with_differences_marked(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=f"{seeded.first},{seeded.second}")
        assert "2 runs compared" in texts(app)
        compared = next(d.value for d in app.dataframe if "kind" in d.value.columns)
        row = compared.set_index("name").loc["alpha"]
        assert (row["elastic-a"], row["elastic-b"]) == ("0.5", "0.75")
        assert app.get("plotly_chart")

    @pytest.mark.parametrize("which", ["first", "old_style"])
    def test_use_as_a_takes_the_run_to_deploy(self, seeded: Seeded, dashboard: Dashboard, which: str):
        run = getattr(seeded, which)
        app = dashboard.open("runs", runs=run)
        app.button(key=f"use-A-{run}").click().run()
        assert not app.exception
        assert app.title[0].value == "Deploy"
        assert app.query_params["a"] == run
        assert run in [box.value for box in app.selectbox]

    def test_both_go_to_deploy_at_once(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=f"{seeded.first},{seeded.second}")
        next(b for b in app.button if b.label == "Deploy these two as A and B").click().run()
        assert (app.query_params["a"], app.query_params["b"]) == (seeded.first, seeded.second)

    def test_a_run_without_a_model_cannot_be_used(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=seeded.bare)
        assert app.button(key=f"use-A-{seeded.bare}").disabled
        assert "logged no model" in texts(app)

    def test_a_run_that_is_gone_says_so_and_leaves_the_rest(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=f"{'0' * 32},{seeded.first}")
        assert not app.exception
        assert "0" * 32 in texts(app)
        assert seeded.first in texts(app)

    def test_untick_all(self, seeded: Seeded, dashboard: Dashboard):
        app = dashboard.open("runs", runs=seeded.first)
        next(b for b in app.button if b.label == "Untick all").click().run()
        assert "runs" not in app.query_params
        assert "The ticked run" not in texts(app)


class TestTrain:
    @pytest.fixture
    def app(self, dashboard: Dashboard):
        return dashboard.open("runs", **{"runs-view": "Train"})

    def field(self, app, label):
        return next(f for f in app.text_input if f.label.startswith(label))

    def test_a_training_is_queued_with_its_parameters(self, app, dashboard: Dashboard):
        self.field(app, "alpha").set_value("0.5")
        app.button(key="FormSubmitter:training-Start training").click().run()
        assert not app.exception
        training = dashboard.services.training.recent()[0]
        assert training.parameters["alpha"] == "0.5"
        assert training.who == "ann"
        assert training.state is JobState.QUEUED
        assert f"Training {training.id}" in texts(app)
        app.button(key=f"cancel-training-{training.id}").click().run()
        assert dashboard.services.training.get(training.id).state is JobState.CANCELLED

    def test_a_missing_parameter_is_named(self, app, dashboard: Dashboard):
        app.button(key="FormSubmitter:training-Start training").click().run()
        assert "alpha needs a value" in texts(app)
        assert not dashboard.services.training.recent()

    def test_a_folder_without_a_project_is_explained(self, app):
        app.text_input(key="training-project").set_value("/no/such/folder").run()
        assert not app.exception
        assert "/no/such/folder" in texts(app).replace("\\", "")


def test_without_mlflow_the_list_says_so_and_training_goes_on(dashboard: Dashboard):
    dashboard.use(runs=RunCatalogue(f"http://127.0.0.1:{free_port()}"))
    app = dashboard.open("runs")
    assert not app.exception
    assert "MLflow does not answer" in texts(app)
    app.segmented_control(key="runs-view").set_value("Train").run()
    assert {"alpha (float)"} <= {field.label for field in app.text_input}
