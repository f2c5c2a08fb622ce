"""Logs of trainings where everybody reads them: a file on the worker's machine, its end in a store that is shared."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from services.errors import Unavailable
from services.evidence.files import FileTable
from services.files import tail_lines
from services.jobs.training_log import lines_of
from services.jobs.training_table import Training

log = logging.getLogger(__name__)

KEPT_BYTES = 256 * 1024


class KeptLogs:
    """Reads and keeps the logs of trainings."""

    def __init__(self, files: FileTable) -> None:
        self._files = files

    def read(self, training: Training, tail: int) -> list[str]:
        """The last lines, newest last; empty before the training starts. Raises Unavailable."""
        path = Path(training.log_path)
        if path.exists() or not self._files.shared:
            return lines_of(tail_lines(path, tail))
        kept = self._files.get(_name(training)) or b""
        return lines_of(kept.decode("utf-8", errors="replace").splitlines()[-tail:])

    def keep(self, training: Training) -> None:
        """Let other machines read the end of the log, where there may be some. What fails is logged."""
        if not self._files.shared:
            return
        try:
            with Path(training.log_path).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT_BYTES))
                self._files.put(_name(training), file.read())
        except (OSError, Unavailable) as error:  # the training goes on without
            log.warning("the log of training %d is not kept: %s", training.id, error)


def _name(training: Training) -> str:
    return f"training/{training.id}.log"
