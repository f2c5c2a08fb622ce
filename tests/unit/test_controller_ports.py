"""More model servers wanted than there are ports: the one that has none waits and says so, the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployments.desired import DesiredStore
from services.deployments.local_controller import read_desired
from services.domain import ChangeNote, Deployment, Phase, Predictor, PredictorStatus
from services.runtime.controller import reconcile
from services.runtime.controller.reconcile import Controller
from services.runtime.controller.status import StatusBook
from services.runtime.supervisor.client import ProcessInfo
from services.settings import Settings
from tests.support.waiting import free_ports, wait_until

NOTE = ChangeNote("tester")


class EmptySupervisor:
    """A supervisord without processes that takes every order."""

    def __init__(self, _socket: Path) -> None:
        self.added: list[str] = []

    def processes(self) -> dict[str, ProcessInfo]:
        return {}

    def add(self, name: str) -> None:
        self.added.append(name)

    def stop(self, name: str) -> None:
        pass

    def remove(self, name: str) -> bool:
        return name in self.added


def test_an_arm_without_a_port_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "SupervisorClient", EmptySupervisor)
    (port,) = free_ports(1)
    settings = Settings(state_dir=tmp_path, model_port_first=port, model_port_last=port)
    settings.paths.create()
    desired, records = DesiredStore(settings.paths.desired), StatusBook(settings.paths)
    controller = Controller(settings, lambda: read_desired(desired, records))
    for name in ("first", "second"):
        desired.put(Deployment("seldon", name, (Predictor("a", "models:/m-1"),)), NOTE, "")

    def status(name: str) -> PredictorStatus:
        record = records.read("seldon", name)
        assert record is not None
        return record.predictors[0]

    controller.step()
    controller.step()
    assert status("first").phase is Phase.PENDING
    assert status("second").phase is Phase.FAILED
    assert f"no port from {port} to {port} is free" in status("second").reason
    assert "DECANT_MODEL_PORT_LAST" in status("second").reason
    assert "/seldon/seldon/second/" in (settings.paths.envoy / "rds.json").read_text()

    desired.remove("seldon", "first")

    def taken_over() -> bool:
        controller.step()
        return status("second").phase is Phase.PENDING

    wait_until(taken_over, what="the free port to be used")
