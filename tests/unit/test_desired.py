"""Desired state on disk: versions, conflicts, spoiled files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from services.deployments.desired import DesiredStore, render
from services.deployments.local import LocalEngine
from services.deployments.local_controller import read_desired
from services.domain import ChangeNote, Deployment, Phase, Predictor, PredictorStatus
from services.errors import Conflict, InvalidDeployment, InvalidName, NotFound
from services.runtime.controller.status import DeploymentRecord, StatusBook
from services.settings import Settings, StatePaths

WINE = Deployment("seldon", "wine", (Predictor("a", "models:/m-1", 80), Predictor("b", "models:/m-2", 20)))
ADA = ChangeNote("ada", "first")


@pytest.fixture
def store(tmp_path: Path) -> DesiredStore:
    return DesiredStore(tmp_path / "desired")


def test_every_write_has_a_version_of_its_own(store: DesiredStore) -> None:
    first, second = store.put(WINE, ADA, ""), store.put(WINE, ADA, None)
    assert first.version != second.version
    assert store.get("seldon", "wine").version == second.version


def test_a_conflict_names_who_changed_what_and_why(store: DesiredStore) -> None:
    old = store.put(WINE, ADA, None)
    store.put(WINE, ChangeNote("grace", "canary looks fine"), None)
    with pytest.raises(Conflict, match=r"grace changed it at .*canary looks fine"):
        store.put(WINE, ADA, old.version)


def test_a_conflict_gives_the_reason_of_a_decision_without_its_mark(store: DesiredStore) -> None:
    old = store.put(WINE, ADA, None)
    store.put(WINE, ChangeNote("grace", "cork [undo of decision 3: promote]"), None)
    with pytest.raises(Conflict, match=r"grace changed it at [^\[]* \(cork\)"):
        store.put(WINE, ADA, old.version)


def test_a_conflict_with_a_deletion_says_so(store: DesiredStore) -> None:
    old = store.put(WINE, ADA, None)
    store.remove("seldon", "wine")
    with pytest.raises(Conflict, match="deleted"):
        store.put(WINE, ADA, old.version)


def test_a_change_by_hand_is_a_new_version(store: DesiredStore, tmp_path: Path) -> None:
    old = store.put(WINE, ADA, None)
    file = tmp_path / "desired" / "seldon" / "wine.yaml"
    manifest = yaml.safe_load(file.read_text())
    manifest["spec"]["predictors"][0]["traffic"], manifest["spec"]["predictors"][1]["traffic"] = 60, 40
    file.write_text(yaml.safe_dump(manifest))
    assert store.get("seldon", "wine").deployment.split.as_dict() == {"a": 60, "b": 40}
    with pytest.raises(Conflict):
        store.put(WINE, ADA, old.version)


def test_nothing_invalid_is_written(store: DesiredStore) -> None:
    with pytest.raises(InvalidDeployment):
        store.put(replace(WINE, predictors=()), ADA, None)
    with pytest.raises(NotFound):
        store.get("seldon", "wine")


def test_nothing_local_leaks_into_the_spec(store: DesiredStore) -> None:
    manifest = yaml.safe_load(render(store.put(WINE, ADA, None)))
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    assert all(key.startswith("decant.dev/") for key in manifest["metadata"]["annotations"])
    assert "decant" not in str(manifest["spec"])


def test_a_spoiled_manifest_keeps_the_last_good_one_running(store: DesiredStore, tmp_path: Path) -> None:
    good = store.put(WINE, ADA, None)
    paths = StatePaths(tmp_path)
    records = StatusBook(paths)
    status = PredictorStatus("a", Phase.READY, 1, 1)
    records.write("seldon", "wine", DeploymentRecord(good.version, render(good), (status,)))
    (tmp_path / "desired" / "seldon" / "wine.yaml").write_text("kind: SeldonDeployment\nspec: [oops")
    assert store.all() == []
    (wanted,) = read_desired(store, records)
    assert wanted.deployment == good.deployment
    assert "YAML" in wanted.problem


def test_a_file_that_describes_another_deployment_is_not_used(store: DesiredStore, tmp_path: Path) -> None:
    store.put(WINE, ADA, None)
    folder = tmp_path / "desired" / "seldon"
    (folder / "other.yaml").write_text((folder / "wine.yaml").read_text())
    assert [d.deployment.key for d in store.all()] == ["seldon/wine"]
    assert "does not fit its file name" in store.broken()["seldon", "other"]


@pytest.mark.parametrize(("namespace", "name"), [("..", "../outside"), ("seldon", "../../outside"), ("Seldon", "wine")])
def test_no_name_reaches_a_file_outside_the_folder(tmp_path: Path, namespace: str, name: str) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    DesiredStore(tmp_path / "state" / "desired").put(WINE, ADA, None)
    outside = tmp_path / "outside.yaml"
    outside.write_text((settings.paths.desired / "seldon" / "wine.yaml").read_text())
    engine = LocalEngine(settings)
    for act in (
        lambda: engine.get(namespace, name),
        lambda: engine.events(namespace, name),
        lambda: engine.logs(namespace, name, "a"),
        lambda: engine.endpoint(namespace, name),
        lambda: engine.set_traffic(namespace, name, WINE.split, note=ADA),
        lambda: engine.delete(namespace, name, note=ADA),
    ):
        with pytest.raises(InvalidName):
            act()
    assert outside.exists()
