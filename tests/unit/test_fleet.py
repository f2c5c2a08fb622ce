"""How long a model server may take to load its model before it is ended and tried again."""

from __future__ import annotations

from pathlib import Path

from services.runtime.controller.fleet import Fleet
from services.runtime.controller.observe import Probe
from services.runtime.controller.replicas import Replica
from services.runtime.supervisor.client import ProcessInfo, SupervisorClient
from services.settings import Settings

SLOW, QUICK = (
    Replica("seldon", "wine", name, "0123abcd", 0, port, "models:/m-1", "m", False)
    for name, port in (("slow", 8101), ("quick", 8102))
)


class Deaf(SupervisorClient):
    """Supervisord as far as ending a program goes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "nobody.sock")
        self.stopped: list[str] = []

    def stop(self, name: str) -> None:
        self.stopped.append(name)


def test_an_arm_with_a_start_budget_is_given_that_time_and_the_others_what_the_setting_says(tmp_path: Path) -> None:
    supervisor = Deaf(tmp_path)
    fleet = Fleet(Settings(state_dir=tmp_path, start_timeout_s=1e-9), supervisor)
    probes = {r.program: Probe(False) for r in (SLOW, QUICK)}
    processes = {r.program: ProcessInfo(r.program, "RUNNING", 7, 0.0, 0, "") for r in (SLOW, QUICK)}
    for _ in range(2):  # the first look begins the count
        fleet.tend([SLOW, QUICK], probes, processes, {("seldon", "wine", "slow"): 3600})
    assert set(supervisor.stopped) == {QUICK.program}
    assert set(fleet.failures) == {QUICK.program}
    assert "not loaded within" in fleet.failures[QUICK.program][0]
