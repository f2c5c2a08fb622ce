"""A whole Decant for tests: `python -m app up` on free ports with a state folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from services.runtime import tether
from services.settings import ROOT, Settings
from tests.support.waiting import free_ports, share_of, wait_until

if TYPE_CHECKING:
    from services.factory import Services

START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
MODEL_PORTS = 40


class System:
    """One installation. `start` returns when Decant says that it is ready; `stop` ends it as Ctrl-C would."""

    def __init__(self, state_dir: Path, **overrides: object) -> None:
        dashboard, gateway, stats, mlflow, prometheus = free_ports(5)
        first = _free_range(MODEL_PORTS, avoid={dashboard, gateway, stats, mlflow, prometheus})
        self.settings = Settings(
            **{
                "state_dir": state_dir,
                "mlflow_tracking_uri": "",  # its own, whatever the surroundings say
                "user": "tester",
                "dashboard_port": dashboard,
                "gateway_port": gateway,
                "gateway_stats_port": stats,
                "mlflow_port": mlflow,
                "prometheus_port": prometheus,
                "model_port_first": first,
                "model_port_last": first + MODEL_PORTS - 1,
                "prometheus_bin": os.environ.get("DECANT_PROMETHEUS_BIN", ""),
                "scrape_interval_s": 1,
                **overrides,
            }
        )
        self._process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to talk to this installation."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_"))}
        own = {f"DECANT_{name.upper()}": str(getattr(self.settings, name)) for name in self.settings.model_fields_set}
        return {**inherited, **own, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    @cached_property
    def services(self) -> Services:
        from services.factory import build_services

        return build_services(self.settings)

    @property
    def output(self) -> str:
        """What `up` has printed so far."""
        return self._output_file.read_text() if self._output_file.exists() else ""

    @property
    def _output_file(self) -> Path:
        return self.settings.state_dir.with_name(f"{self.settings.state_dir.name}-up.log")

    def start(self) -> System:
        with self._output_file.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", "up"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        process = self._process

        def ready_or_ended() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"`up` ended with {process.returncode}:\n{self.output}")
            return "Decant is ready" in self.output

        try:
            wait_until(ready_or_ended, timeout_s=START_TIMEOUT_S, what=f"Decant to be ready; it said:\n{self.output}")
        except AssertionError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ctrl-C, then look that nothing is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                tether.end(self.processes())
                raise AssertionError(f"`up` did not stop within {STOP_TIMEOUT_S} s:\n{self.output}") from None

    def processes(self, part: str | None = None) -> list[psutil.Process]:
        """Live processes of this installation, or of one part: mlflow, envoy, controller, model.<...>, ..."""
        return tether.leftovers(self.settings.paths.root, part)

    def parts(self) -> set[str]:
        """Names of all live parts."""
        found = set()
        for process in self.processes():
            try:
                found.add(process.environ().get(tether.PART_VARIABLE, ""))
            except psutil.NoSuchProcess:
                continue
        return found - {""}

    def kill(self, part: str) -> list[int]:
        """`kill -9` every process of a part; returns their ids."""
        # A part that has just been started again may not have its name yet.
        victims = wait_until(lambda: self.processes(part), what=f"a process of {part} to kill")
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims, timeout=10)
        return [v.pid for v in victims]

    def kill_everything(self) -> None:
        """A power cut: `up`, supervisord and all parts at once, none of them given a chance."""
        assert self._process is not None
        victims = [psutil.Process(self._process.pid), *self.processes()]
        for victim in victims:
            if victim.is_running():
                victim.kill()
        self._process.wait()
        psutil.wait_procs(victims, timeout=10)

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """One command of the command line."""
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def _free_range(count: int, avoid: set[int]) -> int:
    """First port of `count` that nobody uses, away from the ports that the system gives out by itself."""
    from services.runtime.controller.replicas import can_bind

    mine = share_of(range(20000, 32000))
    begin = (os.getpid() * 97 + int(time.monotonic() * 10)) % (len(mine) // 2)
    for first in range(mine.start + begin, mine.stop - count, count):
        ports = range(first, first + count)
        if not avoid & set(ports) and all(can_bind(port) for port in ports):
            return first
    raise AssertionError("no range of free ports")
