"""manifests/decant against a real API server: it takes every object."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.rendered_manifests import OVERLAYS, golden, kubectl
from services.errors import DecantError
from tests.support.api_server import TestCluster

Object = dict[str, Any]


def make_namespace(cluster: TestCluster, name: str) -> None:
    """A dry run of what goes into a namespace needs the namespace."""
    try:
        cluster.admin.get(f"/api/v1/namespaces/{name}")
    except DecantError:
        cluster.admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def served(cluster: TestCluster, group: str) -> bool:
    return any(
        version["groupVersion"] == group
        for found in cluster.admin.get("/apis")["groups"]
        for version in found["versions"]
    )


def for_this_server(cluster: TestCluster, found: Object) -> Object:
    """PodDisruptionBudgets became policy/v1 with Kubernetes 1.21 without a change of what is used here."""
    if found["apiVersion"] == "policy/v1" and not served(cluster, "policy/v1"):
        return {**found, "apiVersion": "policy/v1beta1"}
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_every_object(overlay: str, cluster: TestCluster, tmp_path: Path) -> None:
    found = [for_this_server(cluster, one) for one in yaml.safe_load_all(golden(overlay).read_text())]
    for name in {one["metadata"].get("namespace", "decant") for one in found} | {"decant"}:
        make_namespace(cluster, name)
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(found))
    command = [kubectl(), "apply", "--dry-run=server", "-f", file, f"--kubeconfig={cluster.kubeconfig}"]
    answer = subprocess.run([*command, f"--cache-dir={tmp_path}"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == len(found)
    assert "unknown field" not in answer.stderr
