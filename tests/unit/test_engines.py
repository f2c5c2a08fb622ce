"""The engine that the settings choose: what its health checks say, and that the other one costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.engines import choose_engine
from services.errors import Unavailable
from services.metrics.prometheus import MetricsReader
from services.settings import ROOT, Settings
from tests.support.kube_stub import Script, serving
from tests.support.waiting import free_ports


def kubernetes(tmp_path: Path, kubeconfig: Path, **more: object) -> Settings:
    values = {"engine": "kubernetes", "kubeconfig": str(kubeconfig), "state_dir": tmp_path / "state", **more}
    return Settings.model_validate(values)


def test_one_machine_does_not_load_the_kubernetes_client(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from services.factory import build_services\n"
        "from services.settings import Settings\n"
        "build_services(Settings(state_dir=Path(sys.argv[1])))\n"
        "sys.exit('kubernetes' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=120)


def test_on_one_machine_the_parts_are_the_gateway_and_the_controller(tmp_path: Path) -> None:
    chosen = choose_engine(Settings(state_dir=tmp_path))
    assert (list(chosen.checks), chosen.entrance) == (["Gateway", "Controller"], "Gateway")


def test_on_kubernetes_the_parts_are_those_of_the_cluster(tmp_path: Path) -> None:
    script = Script(objects=[])
    script.answers = {
        "/version": {"gitVersion": "v1.36.0"},
        "/apis/machinelearning.seldon.io/v1": {"resources": [{"name": "seldondeployments"}]},
    }
    with serving(script, tmp_path) as kubeconfig:
        chosen = choose_engine(kubernetes(tmp_path, kubeconfig))
        assert (list(chosen.checks), chosen.entrance) == (["Kubernetes", "Seldon Core"], "")
        assert "v1.36.0" in chosen.checks["Kubernetes"]()
        assert chosen.checks["Seldon Core"]() == "machinelearning.seldon.io/v1"


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ({"/apis/machinelearning.seldon.io/v1": {"resources": []}}, None),
        ({}, (404, {"kind": "Status", "message": "the server could not find the requested resource"})),
    ],
)
def test_a_cluster_without_seldon_is_said_to_be(
    tmp_path: Path, answers: dict[str, dict[str, object]], refusal: tuple[int, dict[str, object]] | None
) -> None:
    script = Script(objects=[])
    script.answers, script.refuse = answers, refusal
    with serving(script, tmp_path) as kubeconfig:
        chosen = choose_engine(kubernetes(tmp_path, kubeconfig))
        with pytest.raises(Unavailable, match="does not know the kind SeldonDeployment") as caught:
            chosen.checks["Seldon Core"]()
    assert "Install Seldon Core" in caught.value.hint


def test_credentials_that_the_cluster_refuses_are_said_to_be_refused(tmp_path: Path) -> None:
    script = Script(objects=[])
    script.refuse = (401, {"kind": "Status", "message": "Unauthorized"})
    with serving(script, tmp_path) as kubeconfig:
        chosen = choose_engine(kubernetes(tmp_path, kubeconfig))
        with pytest.raises(Unavailable, match="The cluster does not accept our credentials") as caught:
            chosen.checks["Kubernetes"]()
    assert "Sign in again" in caught.value.hint
    for page in ("kubernetes.md", "troubleshooting.md"):
        assert "The cluster does not accept our credentials" in (ROOT / "docs" / page).read_text()


def test_any_answer_of_the_ingress_will_do_and_silence_will_not(tmp_path: Path) -> None:
    script = Script(objects=[])
    with serving(script, tmp_path) as kubeconfig:
        url = f"http://127.0.0.1:{script.port}"
        chosen = choose_engine(kubernetes(tmp_path, kubeconfig, ingress_url=url))
        assert chosen.entrance == "Ingress"
        assert chosen.checks["Ingress"]() == url
    silent = f"http://name:secret@127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(Unavailable, match="ingress") as caught:
        choose_engine(kubernetes(tmp_path, kubeconfig, ingress_url=silent)).checks["Ingress"]()
    assert "DECANT_INGRESS_URL" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_cluster_has_no_prometheus_until_one_is_named(tmp_path: Path) -> None:
    settings = kubernetes(tmp_path, tmp_path / "none")
    assert (settings.runs_prometheus, settings.prometheus_address) == (False, "")
    with pytest.raises(Unavailable, match="no address is set") as caught:
        MetricsReader(settings.prometheus_address, 2).ping()
    assert "DECANT_PROMETHEUS_URL" in caught.value.hint
    named = kubernetes(tmp_path, tmp_path / "none", prometheus_url="http://prometheus.example/")
    assert (named.runs_prometheus, named.prometheus_address) == (False, "http://prometheus.example")
