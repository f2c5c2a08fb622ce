"""The dashboard on examples, to look at the Verdict page with one's own eyes: one deployment per call.

    python -m tests.support.verdict_pages 8599

Then open http://127.0.0.1:8599/verdict?deployment=seldon/ship (or keep, running, distrust, fresh, new, lone).
Nothing but the dashboard runs; what asks MLflow or Prometheus says that they do not answer.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamlit.web import bootstrap

from app import wiring
from services.domain import ChangeNote, Deployment, Predictor, Provenance
from services.factory import Services, build_services
from services.operations import Operations
from services.settings import ROOT, Settings
from tests.support.memory_engine import MemoryEngine
from tests.support.verdicts import EXAMPLES, ExampleVerdicts
from tests.support.waiting import free_port

ARMS = {"running": ("cautious-wine-dag", "bold-wine-dag"), "lone": ("a",)}


def example_services(state_dir: Path) -> Services:
    """Services whose deployments are the examples, and one without a test, and one with a single arm."""
    settings = Settings(state_dir=state_dir, user="ann", prometheus_url=f"http://127.0.0.1:{free_port()}")
    built = build_services(settings)
    engine = MemoryEngine()
    operations = Operations(engine, built.store)
    for name in (*EXAMPLES, "new", "lone"):
        arms = ARMS.get(name, ("a", "b"))
        shares = (80, 20) if len(arms) == 2 else (100,)
        predictors = tuple(
            Predictor(arm, f"models:/m-{arm}", traffic=share, provenance=Provenance(run_name=f"run-{arm}"))
            for arm, share in zip(arms, shares, strict=True)
        )
        operations.apply(Deployment("seldon", name, predictors), note=ChangeNote("ann", "an example"))
    parts: dict[str, Any] = {"engine": engine, "operations": operations, "verdicts": ExampleVerdicts()}
    return replace(built, **parts)


def main(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        built = example_services(Path(folder))
        wiring.use_builder(lambda: built)
        bootstrap.load_config_options({"server.port": port, "server.address": "127.0.0.1", "server.headless": True})
        bootstrap.run(str(ROOT / "app" / "main.py"), False, [], {})


if __name__ == "__main__":
    main(int(sys.argv[1]))
