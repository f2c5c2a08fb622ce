"""The dashboard's process with sign-in, quick to start: an engine in memory, with one deployment `seldon/wine`.

Everything else is as `services.runtime.dashboard` starts it: its checks, its options, its secrets file.
`python -m tests.support.signed_dashboard`, with the settings in the environment.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from streamlit.web import cli

from app import wiring
from services.domain import ChangeNote, Deployment, Predictor
from services.factory import Services, build_services
from services.operations import Operations
from services.runtime.dashboard import prepare
from services.settings import Settings, load_settings
from tests.support.memory_engine import MemoryEngine

ARMS = (Predictor("a", "models:/m-a", traffic=80), Predictor("b", "models:/m-b", traffic=20))


def in_memory(settings: Settings) -> Services:
    built = build_services(settings)
    built.runs.ping()  # imports MLflow and makes its tables: no visitor should wait for that
    engine = MemoryEngine()
    operations = Operations(engine, built.store)
    operations.apply(Deployment("seldon", "wine", ARMS), note=ChangeNote("setup", "to begin with"))
    return replace(built, engine=engine, operations=operations)


if __name__ == "__main__":
    chosen = load_settings()
    services = in_memory(chosen)
    wiring.use_builder(lambda: services)
    command = prepare(chosen)
    sys.exit(cli.main(command[command.index("run") :]))
