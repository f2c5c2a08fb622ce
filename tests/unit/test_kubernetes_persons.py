"""As whom the door to the cluster speaks: never as one of its own parts, nor under a name that breaks a header."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.options import ClusterOptions
from services.domain import V2, Endpoint, ProxiedService
from services.errors import Forbidden
from services.traffic.client import PredictionClient
from services.traffic.inference import infer_path, metadata_path
from services.traffic.protocol import FEEDBACK, PREDICTIONS
from tests.support.kube_stub import Script, serving


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("system:kube-controller-manager", "belong to the cluster itself"),
        (" System:admin", "belong to the cluster itself"),
        ("ada\nImpersonate-Group: system:masters", "control characters"),
        ("ada\x00", "control characters"),
        ("ada\ud800", "control characters"),
    ],
)
def test_nothing_is_sent_under_a_name_that_no_person_has(name: str, words: str, tmp_path: Path) -> None:
    script = Script(objects=[])
    with serving(script, tmp_path) as kubeconfig:
        cluster = Cluster(str(kubeconfig))
        with pytest.raises(Forbidden, match=words) as refused:
            cluster.send("GET", "/api/v1/secrets", as_user=name)
        assert refused.value.hint and script.lists == 0
        cluster.send("GET", "/api/v1/secrets", as_user="Zoë Łukasiewicz")
        assert script.lists == 1


ARM = ProxiedService("seldon", "wine-a", 8000)


@pytest.mark.parametrize(("impersonate", "whose"), [(True, "ada"), (False, "")])
def test_what_is_sent_to_an_arm_goes_with_the_rights_of_whoever_asks(
    impersonate: bool, whose: str, tmp_path: Path
) -> None:
    script = Script(objects=[])
    script.answers[ARM.path + PREDICTIONS] = {"data": {"names": [], "ndarray": [5.0]}, "meta": {}}
    script.answers[ARM.path + FEEDBACK] = {}
    to_a = Endpoint("http://server" + ARM.path, predictor="a", through=ARM)
    with serving(script, tmp_path) as kubeconfig:
        engine = KubernetesEngine(ClusterOptions(kubeconfig=str(kubeconfig), impersonate=impersonate))
        ours = PredictionClient(5, engine.relay)
        theirs = ours.for_person(who="ada")
        _, request, response = theirs.predict(to_a, [[5.0]], ["x"])
        theirs.feedback(to_a, request, response, 1.0)
        ours.predict(to_a, [[5.0]], ["x"])
        assert script.asked == [
            ("POST", ARM.path + PREDICTIONS, whose),
            ("POST", ARM.path + FEEDBACK, whose),
            ("POST", ARM.path + PREDICTIONS, ""),
        ]
        if impersonate:
            with pytest.raises(Forbidden, match="belong to the cluster itself"):
                ours.for_person(who="system:admin").predict(to_a, [[5.0]], ["x"])
            assert len(script.asked) == 3


def test_what_a_model_takes_is_read_as_decant_itself(tmp_path: Path) -> None:
    script = Script(objects=[])
    x = {"name": "x", "datatype": "FP64", "shape": [-1, 1]}
    script.answers[ARM.path + metadata_path("m")] = {"name": "m", "inputs": [x]}
    script.answers[ARM.path + infer_path("m")] = {
        "model_name": "m",
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [5.0]}],
    }
    to_a = Endpoint("http://server" + ARM.path, protocol=V2, model="m", predictor="a", through=ARM)
    with serving(script, tmp_path) as kubeconfig:
        engine = KubernetesEngine(ClusterOptions(kubeconfig=str(kubeconfig), impersonate=True))
        PredictionClient(5, engine.relay).for_person(who="ada").predict(to_a, [[5.0]], ["x"])
    assert [(method, whose) for method, _, whose in script.asked] == [("GET", ""), ("POST", "ada")]
