"""The story on Seldon Core, in the browser: two runs, a preview, a rollout, the split, a replay, a verdict.

The cluster is a real API server where one is found, else the stand-in; the models are real, on S3, and answer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from services.deployments.kubernetes.seldon import item
from tests.browser.test_story import A, B, in_force, slide_to
from tests.support import api_server, kube_server
from tests.support.api_server import TestCluster
from tests.support.browser import Visitor
from tests.support.network_host import network_host
from tests.support.prometheus import running_prometheus
from tests.support.seaweed import BUCKET, RunningStore
from tests.support.seldon_models import SeldonModels
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)
IN_ORDER = True

KEY = "mlflow-deployment"
READY_MS = 180_000
LIVE_ROWS, PAIRS = 400, 800


@dataclass
class Seldon:
    """The cluster beside Decant; `namespace` is the one that Decant may use."""

    cluster: TestCluster
    models: SeldonModels
    namespace: str


@pytest.fixture(scope="module")
def seldon(tmp_path_factory: pytest.TempPathFactory, s3: RunningStore) -> Iterator[Seldon]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        host = stack.enter_context(network_host())
        real = api_server.found() and host is not None  # a real one does not proxy to loopback
        cluster = stack.enter_context((api_server if real else kube_server).running(folder))
        models = SeldonModels(cluster.admin, folder / "models", s3.files(), host if real else None)
        yield Seldon(cluster, stack.enter_context(models), cluster.namespace())


@pytest.fixture(scope="module")
def decant(tmp_path_factory: pytest.TempPathFactory, seldon: Seldon, s3: RunningStore) -> Iterator[System]:
    """A Decant with the Kubernetes engine, in the place of the ring's own."""
    folder = tmp_path_factory.mktemp("decant")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in s3.environment.items():
            patch.setenv(name, value)
        prometheus = stack.enter_context(running_prometheus(folder, {}, listed_in=seldon.models.targets))
        system = System(
            folder / "state",
            engine="kubernetes",
            kubeconfig=str(seldon.cluster.kubeconfig),
            namespaces=seldon.namespace,
            ingress="istio",
            ingress_url=seldon.models.ingress_url,
            prometheus_url=prometheus.url,
            model_store=f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}",
            model_store_endpoint=s3.endpoint,
            model_secret="decant-models",
        )
        stack.callback(system.stop)
        system.start()
        for alpha, l1_ratio in ((".5", ".5"), (".75", ".2")):
            done = system.run("train", "--alpha", alpha, "--l1-ratio", l1_ratio, timeout_s=300)
            assert done.returncode == 0, done.stderr
        yield system


def test_deploy_two_runs(visitor: Visitor, seldon: Seldon) -> None:
    visitor.open("runs")
    rows = [row["Run"] for row in visitor.table_where(lambda found: len(found) == 2)]
    visitor.tick(rows.index(A))
    visitor.press("Use as A")
    visitor.expect_page("deploy")
    visitor.go("runs")
    visitor.tick(rows.index(A))  # what was ticked still is
    visitor.tick(rows.index(B))
    visitor.press("Use as B")
    visitor.expect_page("deploy")
    visitor.shoot("c01-form")
    visitor.fill("Reason", "the tutorial, on Seldon")
    visitor.press("Deploy")
    visitor.shoot("c02-publishing")
    visitor.see("all arms ready", timeout_ms=READY_MS)
    visitor.shoot("c03-ready")
    live = seldon.cluster.admin.get(item(seldon.namespace, KEY))
    for predictor in live["spec"]["predictors"]:
        assert predictor["graph"]["modelUri"].startswith(f"s3://{BUCKET}/")
    assert live["metadata"]["annotations"]["decant.dev/changed-by"] == "tester"


def test_move_the_split(visitor: Visitor) -> None:
    visitor.open("deploy")
    slide_to(visitor, visitor.main.get_by_role("slider", name="Share of b"), 40)
    visitor.fill("Reason", "b holds up")
    visitor.press("Move traffic")
    for arm, share in (("A", 60), ("B", 40)):
        visitor.see(in_force(arm, share))
    visitor.shoot("c04-moved")


def test_one_request(visitor: Visitor) -> None:
    visitor.open("traffic")
    visitor.fill("True value (optional)", "6")
    visitor.press("Send")
    visitor.see(re.compile("^Difference b − a", re.IGNORECASE))
    visitor.shoot("c05-both-arms")


def test_replay_in_pairs_and_as_live(visitor: Visitor) -> None:
    visitor.open("traffic", sending="Replay")
    visitor.choose("Paired")  # the first replay begins the test, which it then decides
    visitor.fill("Rows", str(PAIRS))
    visitor.press("Start replay")
    visitor.see(re.compile(rf"^[\d,]+ of {PAIRS} rows"))
    visitor.shoot("c06-replay-running")
    visitor.see("Past replays", timeout_ms=READY_MS)
    visitor.table_where(lambda rows: (rows[0].get("State"), rows[0].get("Failed")) == ("done", "0"))
    visitor.choose("As live")
    visitor.fill("Rows", str(LIVE_ROWS))
    visitor.press("Start replay")
    visitor.table_where(lambda rows: [row.get("State") for row in rows] == ["done", "done"])
    visitor.shoot("c07-replays")


def test_monitor_and_verdict(visitor: Visitor) -> None:
    visitor.open("monitor", window="5m")
    expect(visitor.page.locator(".decant-chart .main-svg").first).to_be_visible()
    arms = visitor.table_where(lambda rows: sum(int(row["Feedback"].replace(",", "")) for row in rows) == LIVE_ROWS)
    assert {arm["Predictor"] for arm in arms} == {"a", "b"}
    visitor.shoot("c08-monitor")
    visitor.open("verdict")
    visitor.see(re.compile(r"^Ship B"))
    visitor.shoot("c09-verdict")
