"""The pages with the Kubernetes engine as the settings choose it, against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import reads, wiring
from services.domain import ChangeNote, Deployment, Predictor, Split
from services.factory import Services, build_services
from services.settings import Settings
from tests.apptest.conftest import MAIN, TIMEOUT_S, texts
from tests.cluster.test_changes import apply_as
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

ADA = ChangeNote("ada", "for the pages")


def wine(namespace: str) -> Deployment:
    return Deployment(
        namespace, "wine", (Predictor("a", "s3://m/a", traffic=80), Predictor("b", "s3://m/b", traffic=20))
    )


@pytest.fixture
def built(cluster: TestCluster, operator: StatusOperator, namespace: str, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(
        state_dir=tmp_path,
        user="ann",
        engine="kubernetes",
        kubeconfig=str(cluster.kubeconfig),
        namespaces=namespace,
        ingress="istio",
        mlflow_tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
    )
    made = build_services(settings)
    wiring.use_builder(lambda: made)
    reads.forget()
    yield made
    wiring.use_builder(None)
    reads.forget()
    st.cache_resource.clear()
    made.close()


def opened(page: str, key: str = "") -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=TIMEOUT_S)
    if key:
        app.query_params["deployment"] = key
    app.run()
    if page != "overview":
        app.switch_page(f"../pages/{page}.py").run()
    assert not app.exception
    return app


def test_a_split_is_moved_on_the_page_and_is_in_force_in_the_cluster(built: Services, namespace: str) -> None:
    built.operations.apply(wine(namespace), note=ADA)
    wait_until(lambda: built.engine.get(namespace, "wine").settled, timeout_s=30, what="wine to settle")
    app = opened("deploy", f"{namespace}/wine")
    assert "all arms ready" in texts(app)
    next(s for s in app.slider).set_value(55).run()
    next(b for b in app.button if b.label == "Move traffic").click().run()
    assert not app.exception
    assert built.engine.get(namespace, "wine").in_force == Split.of({"a": 45, "b": 55})
    assert built.operations.history(namespace, "wine")[0].who == "ann"


def test_a_new_deployment_is_offered_the_namespaces_that_are_allowed(built: Services, namespace: str) -> None:
    app = opened("deploy")
    assert app.selectbox(key="new-namespace").options == [namespace]


def test_another_tools_deployment_is_on_the_overview_with_its_manager(
    built: Services, cluster: TestCluster, namespace: str
) -> None:
    apply_as(cluster, "argocd-controller", wine(namespace))
    wait_until(lambda: built.engine.list(), what="the deployment to be listed")
    assert "managed by argocd-controller" in texts(opened("overview"))


def test_without_prometheus_monitor_says_which_setting_is_missing(built: Services, namespace: str) -> None:
    built.operations.apply(wine(namespace), note=ADA)
    words = texts(opened("monitor", f"{namespace}/wine")).replace("\\_", "_")  # the page escapes Markdown
    assert "DECANT_PROMETHEUS_URL" in words
