"""As whom the door to the cluster speaks: never as one of its own parts, nor under a name that breaks a header."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployments.kubernetes.cluster import Cluster
from services.errors import Forbidden
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
