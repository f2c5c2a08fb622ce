"""`up` with Kubernetes: only what a laptop in front of a cluster needs, and every command says what is different."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.kube_stub import Script, serving
from tests.support.system import System


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A Decant in front of an API server that knows SeldonDeployments and holds none."""
    folder = tmp_path_factory.mktemp("kubernetes-up")
    script = Script(objects=[])
    script.answers = {
        "/version": {"gitVersion": "v1.36.0"},
        "/apis/machinelearning.seldon.io/v1": {"resources": [{"name": "seldondeployments"}]},
    }
    with serving(script, folder) as kubeconfig:
        overrides = {"engine": "kubernetes", "kubeconfig": str(kubeconfig), "namespaces": "team-a,team-b"}
        system = System(folder / "state", **overrides)
        yield system.start()
        system.stop()
    assert system.parts() == set()


def test_only_pages_worker_and_mlflow_are_started(own: System) -> None:
    assert own.parts() == {"dashboard", "mlflow", "supervisord", "worker"}
    assert "no gateway, controller or model server is started here" in own.output
    assert "No DECANT_PROMETHEUS_URL" in own.output


def test_status_names_the_cluster_instead_of_the_gateway(own: System) -> None:
    done = own.run("status", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["running"] is True
    assert found["deployments"] == []
    assert {p["part"]: p["ok"] for p in found["parts"]} == dict.fromkeys(
        ("MLflow", "Kubernetes", "Seldon Core", "Worker", "Evidence store"), True
    )


def test_starting_again_in_the_background_finds_it_running(own: System) -> None:
    done = own.run("up", "--background")
    assert done.returncode == 0, done.stderr
    assert "Decant is running" in done.stderr


def test_a_demonstration_without_an_ingress_is_refused_before_it_trains(own: System) -> None:
    done = own.run("demo")
    assert done.returncode == 2
    assert "DECANT_INGRESS_URL" in done.stderr


def test_a_deployment_without_a_namespace_goes_to_the_first_that_is_allowed(own: System) -> None:
    assert "team-a/nothing" in own.run("events", "nothing").stderr
    done = own.run("events", "nothing", "-n", "seldon")
    assert done.returncode == 2
    assert "team-a, team-b" in done.stderr
