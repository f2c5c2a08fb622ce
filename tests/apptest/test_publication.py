"""The Deploy page where the engine cannot read MLflow's own addresses: publish first, then apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import reads
from services.domain import ChangeNote, Deployment, Predictor
from services.health import HealthChecks
from services.jobs.publications import Publications
from services.jobs.queue import open_queue
from services.jobs.states import JobState
from tests.apptest.conftest import Dashboard, texts
from tests.support.runs import Seeded

CLUSTER = {"engine": "kubernetes", "model_store": "pvc://models/decant", "model_secret": "decant-models"}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


def in_front_of_a_cluster(dashboard: Dashboard, **settings: str) -> Publications:
    """The dashboard as with Kubernetes, of which the engine in memory stands for the cluster."""
    built = dashboard.services
    there = built.settings.model_copy(update=settings)
    made = Publications(built.store, open_queue(there), built.engine, built.operations, built.models, there)
    dashboard.use(publications=made, health=HealthChecks({"Worker": lambda: "runs"}))
    return made


def carry_out(publications: Publications) -> None:
    """What the worker does with the newest publication, and a second later, when pages ask anew."""
    publications.run(publications.recent()[0].id)
    reads.forget()


def test_apply_publishes_first_shows_how_far_it_is_and_then_the_deployment(
    seeded: Seeded, dashboard: Dashboard, volume: Path
):
    publications = in_front_of_a_cluster(dashboard, **CLUSTER, model_store_path=str(volume))
    app = dashboard.open("deploy", a=seeded.first, b=seeded.second)
    assert "The models of A and B will be copied to where the cluster can read them" in texts(app)
    manifest = next(code.value for code in app.code if "SeldonDeployment" in code.value)
    assert "modelUri: pvc://models/decant/m-" in manifest
    assert "envSecretRefName: decant-models" in manifest
    next(t for t in app.text_input if t.label == "Reason").set_value("the tutorial").run()
    app.button(key="apply").click().run()
    assert not app.exception
    assert dashboard.engine.list() == []
    (queued,) = publications.recent()
    assert (queued.state, queued.why, queued.who) == (JobState.QUEUED, "the tutorial", "ann")
    assert "Publishing models" in texts(app)

    carry_out(publications)
    app.run()
    assert not app.exception
    arms = dashboard.engine.get("seldon", "mlflow-deployment").deployment.predictors
    assert all(p.model_uri.startswith("pvc://models/decant/m-") for p in arms)
    assert [p.provenance.run_id for p in arms] == [seeded.first, seeded.second]
    assert "Publishing models" not in texts(app)
    assert app.query_params["deployment"] == "seldon/mlflow-deployment"


def test_what_is_published_and_live_is_not_applied_again(seeded: Seeded, dashboard: Dashboard, volume: Path):
    publications = in_front_of_a_cluster(dashboard, **CLUSTER, model_store_path=str(volume))
    app = dashboard.open("deploy", a=seeded.first)
    app.button(key="apply").click().run()
    carry_out(publications)
    again = dashboard.open("deploy", deployment="seldon/mlflow-deployment", a=seeded.first)
    assert not again.exception
    assert "This is what is live already" in texts(again)


def test_nothing_can_be_applied_while_models_are_published_until_it_is_cancelled(
    seeded: Seeded, dashboard: Dashboard, volume: Path
):
    publications = in_front_of_a_cluster(dashboard, **CLUSTER, model_store_path=str(volume))
    app = dashboard.open("deploy", a=seeded.first)
    app.button(key="apply").click().run()
    (queued,) = publications.recent()
    app = dashboard.open("deploy", deployment="seldon/mlflow-deployment", a=seeded.second)
    assert app.button(key="apply").disabled
    assert "Models are being published" in texts(app)
    app.button(key=f"cancel-publication-{queued.id}").click().run()
    assert not app.exception
    assert publications.get(queued.id).state is JobState.CANCELLED
    app = dashboard.open("deploy", deployment="seldon/mlflow-deployment", a=seeded.second)
    assert not app.button(key="apply").disabled


def test_why_a_publication_failed_stays_until_the_deployment_changes(
    seeded: Seeded, dashboard: Dashboard, tmp_path: Path
):
    publications = in_front_of_a_cluster(dashboard, **CLUSTER, model_store_path=str(tmp_path / "nowhere"))
    app = dashboard.open("deploy", a=seeded.first)
    app.button(key="apply").click().run()
    carry_out(publications)
    app = dashboard.open("deploy", deployment="seldon/mlflow-deployment")
    assert "Nothing was applied" in texts(app)
    assert "DECANT_MODEL_STORE_PATH" in texts(app).replace("\\", "")
    wine = Deployment("seldon", "mlflow-deployment", (Predictor("a", "s3://elsewhere/m"),))
    dashboard.services.operations.apply(wine, note=ChangeNote("ann"))
    reads.forget()  # as if a second had passed
    app = dashboard.open("deploy", deployment="seldon/mlflow-deployment")
    assert "Nothing was applied" not in texts(app)


def test_without_a_store_the_form_says_what_to_set(seeded: Seeded, dashboard: Dashboard):
    in_front_of_a_cluster(dashboard, engine="kubernetes")
    app = dashboard.open("deploy", a=seeded.first)
    assert app.button(key="apply").disabled
    assert "there is no place to copy it to" in texts(app)
    assert "DECANT_MODEL_STORE" in texts(app).replace("\\", "")
