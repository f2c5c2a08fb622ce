"""What the controller makes of logs and failures."""

from __future__ import annotations

from pathlib import Path

from services.files import write_atomically
from services.runtime.controller.observe import describe_failure, plain_words
from services.runtime.controller.replicas import Replica
from services.runtime.supervisor.client import ProcessInfo
from services.runtime.supervisor.config import log_path
from services.settings import StatePaths

REPLICA = Replica("seldon", "wine", "b", "abc", 0, 8100, "models:/m-1", "b-model", True)


def test_a_log_line_is_told_without_its_marks() -> None:
    line = "2026-03-01 12:00:00,123 ERROR services.server: it needs xgboost (not installed)"
    assert plain_words(line) == "it needs xgboost (not installed)"
    assert plain_words("Segmentation fault") == "Segmentation fault"


def test_a_failure_is_told_by_the_last_line_of_the_log(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    write_atomically(log_path(paths, REPLICA.program), "loading\n2026-03-01 12:00:00,123 ERROR x.y: no such model\n\n")
    reason, tail = describe_failure(paths, REPLICA, None)
    assert reason == "no such model"
    assert len(tail) == 2


def test_a_program_that_cannot_be_started_is_told_by_the_supervisor(tmp_path: Path) -> None:
    info = ProcessInfo(REPLICA.program, "FATAL", 0, 0.0, 1, "can't find command '/usr/bin/python'")
    assert describe_failure(StatePaths(tmp_path), REPLICA, info)[0] == "can't find command '/usr/bin/python'"


def test_a_process_that_complains_of_nothing_before_its_end_was_killed(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    info = ProcessInfo(REPLICA.program, "BACKOFF", 0, 0.0, 0, "Exited too quickly (process log may have details)")
    assert "ended without a word" in describe_failure(paths, REPLICA, info)[0]
    write_atomically(log_path(paths, REPLICA.program), "2026-03-01 12:00:00,123 INFO x.y: loading the model\n")
    reason, tail = describe_failure(paths, REPLICA, info)
    assert "ended without a word" in reason
    assert len(tail) == 1
