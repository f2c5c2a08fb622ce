"""The model servers of this machine: starting, watching, trying again, ending. The only hand on their processes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from services.domain import Predictor
from services.errors import StartFailed
from services.files import write_if_changed
from services.runtime.controller.observe import Probe, RetryClock, Stopwatch, describe_failure
from services.runtime.controller.replicas import (
    Replica,
    ReplicaBook,
    can_bind,
    free_model_port,
    program_for,
    revision_of,
)
from services.runtime.supervisor.client import ProcessInfo, SupervisorClient
from services.runtime.supervisor.config import conf_folder, log_path, program_section
from services.settings import Settings

log = logging.getLogger(__name__)

ArmKey = tuple[str, str, str]
"""Namespace, deployment, predictor."""
Processes = Mapping[str, ProcessInfo]
Probes = Mapping[str, Probe]

RELEASE_PAUSE_S = 0.3
"""Between the gateway's main thread letting go of a process and its end: Envoy's workers follow some moments later."""

_FAILED = {"FATAL", "BACKOFF"}
"""Not EXITED: supervisord is about to start such a process again, as after a kill."""


class Fleet:
    """Replicas on record and their processes. A record is written before a process starts and deleted after its end."""

    def __init__(self, settings: Settings, supervisor: SupervisorClient) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._supervisor = supervisor
        self._book = ReplicaBook(settings.paths)
        self._retries = RetryClock()
        self._unready = Stopwatch()
        self._released = Stopwatch()
        self.failures: dict[str, tuple[str, tuple[str, ...]]] = {}  # program -> reason, last lines of its log
        self._budgets_s: dict[ArmKey, int] = {}
        self.homeless: dict[ArmKey, str] = {}  # arms for which no port is left, with the reason

    def replicas(self) -> list[Replica]:
        return self._book.all()

    def tend(
        self, replicas: Iterable[Replica], probes: Probes, processes: Processes, budgets_s: Mapping[ArmKey, int]
    ) -> None:
        """End what hangs, remember why what failed did, and try it again when its time has come.

        Args:
            budgets_s: how long the arms that say so may take to start, in seconds; the others' time is a setting.
        """
        present = list(replicas)
        self._budgets_s = dict(budgets_s)
        self._stop_hung(present, probes, processes)
        self._note_failures(present, probes, processes)
        self._retry_failed(present, processes)
        self._retries.forget({r.program: probes[r.program].ready for r in present})

    def start_missing(self, replicas: Iterable[Replica], processes: Mapping[str, ProcessInfo]) -> None:
        """Replicas on record that supervisord does not know: a pass was cut short, or settings changed."""
        for replica in replicas:
            if replica.program not in processes:
                self._start(replica)

    def create(self, missing: Mapping[ArmKey, tuple[Predictor, tuple[int, ...]]], known: Iterable[Replica]) -> bool:
        """Put missing replicas (indices by arm) on record and start them; returns whether there were any.

        The record comes first: what runs is always on record. Where no port is left, the arm says so and waits;
        everything else goes on.
        """
        taken = [r.port for r in known]
        created = False
        homeless: dict[ArmKey, str] = {}
        for key, (predictor, indices) in missing.items():
            for index in indices:
                try:
                    port = free_model_port(self._settings, taken)
                except StartFailed as error:
                    homeless[key] = f"{error.reason}. {error.hint}"
                    break
                replica = Replica(
                    *key,
                    revision=revision_of(predictor),
                    index=index,
                    port=port,
                    model_uri=predictor.model_uri,
                    node=predictor.node_name,
                    dataframe_input=any(p.name == "xtype" and p.value == "DataFrame" for p in predictor.parameters),
                )
                taken.append(replica.port)
                self._book.add(replica)
                self._start(replica)
                created = True
        for key in homeless.keys() - self.homeless.keys():
            log.warning("%s cannot be started: %s", "/".join(key), homeless[key])
        self.homeless = homeless
        return created

    def retire(self, replicas: Iterable[Replica]) -> bool:
        """Ask processes to end; forget those that have. Returns True while any is left."""
        leaving = list(replicas)
        self._released.keep(r.program for r in leaving)
        left = False
        for replica in leaving:
            if self._released.seconds(replica.program) < RELEASE_PAUSE_S:
                left = True
                continue
            self._supervisor.stop(replica.program)
            left = not self._drop(replica) or left
        return left

    def _drop(self, replica: Replica) -> bool:
        if not self._supervisor.remove(replica.program):
            return False  # still draining; the next pass looks again
        (conf_folder(self._paths) / f"{replica.program}.ini").unlink(missing_ok=True)
        self._book.forget(replica)
        for file in log_path(self._paths, replica.program).parent.glob(f"{replica.program}.log*"):
            file.unlink(missing_ok=True)
        return True

    def _start(self, replica: Replica) -> None:
        section = program_section(program_for(replica, self._settings), self._paths)
        write_if_changed(conf_folder(self._paths) / f"{replica.program}.ini", section)
        self._supervisor.add(replica.program)

    def _note_failures(
        self, replicas: Iterable[Replica], probes: Mapping[str, Probe], processes: Mapping[str, ProcessInfo]
    ) -> None:
        """Remember why a replica failed until it is ready: while it is tried again, its log tells of the new start."""
        present = {r.program for r in replicas if not probes[r.program].ready}
        self.failures = {program: why for program, why in self.failures.items() if program in present}
        for replica in replicas:
            info = processes.get(replica.program)
            if replica.program not in present or info is None:
                continue
            if info.state in _FAILED:
                self.failures[replica.program] = describe_failure(self._paths, replica, info)
            elif self._unready.seconds(replica.program) > self._patience_s(replica):
                _, tail = describe_failure(self._paths, replica, info)
                words = f"its model was not loaded within {self._patience_s(replica):g} s"
                self.failures[replica.program] = (words, tail)

    def _stop_hung(
        self, replicas: Iterable[Replica], probes: Mapping[str, Probe], processes: Mapping[str, ProcessInfo]
    ) -> None:
        """End model servers that run but have not been ready for too long; `_retry_failed` starts them again."""
        self._unready.keep(r.program for r in replicas if not probes[r.program].ready)
        for replica in replicas:
            too_long = self._unready.seconds(replica.program) > self._patience_s(replica)
            if too_long and runs(processes, replica.program):
                log.warning("%s is not ready after %g s", replica.program, self._patience_s(replica))
                self._supervisor.stop(replica.program)

    def _patience_s(self, replica: Replica) -> float:
        key = (replica.namespace, replica.deployment, replica.predictor)
        return self._budgets_s.get(key, self._settings.start_timeout_s)

    def _retry_failed(self, replicas: Iterable[Replica], processes: Mapping[str, ProcessInfo]) -> None:
        for replica in replicas:
            info = processes.get(replica.program)
            if (
                info is None
                or info.state not in {"FATAL", "EXITED", "STOPPED"}
                or not self._retries.due(replica.program)
            ):
                continue
            if can_bind(replica.port):
                log.info("trying %s again", replica.program)
                self._supervisor.start(replica.program)
            else:
                log.warning("port %d of %s belongs to somebody else now; taking another", replica.port, replica.program)
                self._drop(replica)


def runs(processes: Processes, program: str) -> bool:
    """Whether supervisord says that the program runs."""
    info = processes.get(program)
    return info is not None and info.runs
