"""Starting a training: its own process tree, with the server to log to, its output in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.jobs.process_tree import ProcessTree
from services.jobs.projects import ENTRY_POINT, locate, read_parameters
from services.jobs.training_process import Specification
from services.jobs.training_table import Training
from services.settings import ROOT
from services.tracking.door import patient


def start(training: Training, tracking_uri: str, run_file: Path) -> tuple[subprocess.Popen[bytes], ProcessTree]:
    """Run the training's project; it writes the id of its MLflow run to `run_file`.

    Raises NotFound or InvalidInput if the project or its environment is not what it was; OSError if no process starts.
    """
    folder = Path(training.project)
    defaults = {p.name: p.default for p in read_parameters(folder) if p.default is not None}
    specification = Specification(
        training=training.id,
        project=training.project,
        location=locate(folder, training.env_manager),
        entry_point=ENTRY_POINT,
        parameters=training.parameters,
        defaults=defaults,
        experiment=training.experiment,
        env_manager=training.env_manager,
        who=training.who,
        run_file=str(run_file),
    )
    log_path = Path(training.log_path)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    run_file.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.jobs.training_process", specification.to_json()],
            cwd=ROOT,
            env=_environment(tracking_uri),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, ProcessTree.of(process.pid)


def _environment(tracking_uri: str) -> dict[str, str]:
    """Ours, with the server to log to, and with `python` meaning the Python that runs Decant."""
    environment = patient(os.environ)
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        environment.pop(name, None)
    return environment | {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",  # the log is read while it is written
    }
