"""`make bench`, or `python -m tests.benchmarks [SECTION ...]`: measure everything that docs/performance.md promises.

Sections: serving split replicas replay pages memory start recovery ledger
simulations. Exits with 1 if a promise is missed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from services.domain import ChangeNote, Deployment, Parameter, Predictor
from tests.benchmarks import footprint, ledger, replaying, report, screens, serving, simulations, splitting
from tests.support.system import System
from tests.support.waiting import wait_until
from tests.support.wine import log_wine_runs, save_wine_model

NOTE = ChangeNote("bench", "measuring")
COLUMNS = (Parameter("xtype", "DataFrame"),)
RUNS = 50


@dataclass
class Bench:
    """One installation with the tutorial's deployment, made when first needed."""

    folder: Path
    system: System

    @cached_property
    def models(self) -> tuple[Path, Path]:
        return save_wine_model(self.folder / "a", 0.5, 0.5), save_wine_model(self.folder / "b", 0.75, 0.2)

    @cached_property
    def wine(self) -> Deployment:
        arms = tuple(
            Predictor(name, str(model), share, parameters=COLUMNS)
            for name, model, share in zip("ab", self.models, (80, 20), strict=True)
        )
        return self.deploy(Deployment("seldon", "mlflow-deployment", arms))

    def deploy(self, deployment: Deployment) -> Deployment:
        engine = self.system.services.engine
        engine.apply(deployment, note=NOTE)
        wait_until(
            lambda: engine.get(deployment.namespace, deployment.name).settled, timeout_s=120, what=deployment.key
        )
        return deployment

    def serving(self) -> list[report.Line]:
        return serving.measure(self.system, self.wine, self.models[0], self.folder)

    def split(self) -> list[report.Line]:
        return splitting.measure_moves(self.system, self.wine)

    def replicas(self) -> list[report.Line]:
        arm = Predictor("a", str(self.models[0]), 100, replicas=2, parameters=COLUMNS)
        two = self.deploy(Deployment("bench", "two-replicas", (arm,)))
        line = splitting.measure_replicas(self.system, two)
        self.system.services.engine.delete(two.namespace, two.name, note=NOTE)
        return [line]

    def replay(self) -> list[report.Line]:
        return replaying.measure(self.system, self.wine)

    def pages(self) -> list[report.Line]:
        wine = self.wine
        self.deploy(replace(wine, name="second-deployment"))
        log_wine_runs(self.system.settings.tracking_uri, self.system.settings.mlflow_experiment, RUNS)
        lines = screens.measure(self.system, wine.namespace, wine.name)
        self.system.services.engine.delete(wine.namespace, "second-deployment", note=NOTE)
        return lines

    def memory(self) -> list[report.Line]:
        _ = self.wine
        return footprint.measure_memory(self.system)

    def start(self) -> list[report.Line]:
        arm = Predictor("c", str(self.models[0]), 100, parameters=COLUMNS)
        one_more = footprint.measure_predictor(self.system, Deployment("bench", "one-more", (arm,)))
        return [one_more, footprint.measure_restart(self.system)]

    def recovery(self) -> list[report.Line]:
        return footprint.measure_recovery(self.system, self.wine)

    def ledger(self) -> list[report.Line]:
        return ledger.measure(self.folder)

    def simulations(self) -> list[report.Line]:
        return simulations.measure()


SECTIONS = ("memory", "serving", "split", "replicas", "replay", "pages", "start", "recovery", "ledger", "simulations")
ALONE = {"ledger", "simulations"}
"""Sections that need no installation."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Decant beside its peers.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=f"any of {', '.join(SECTIONS)}")
    chosen = parser.parse_args().sections or list(SECTIONS)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    logging.getLogger("streamlit").setLevel(logging.ERROR)  # pages are drawn here without a server
    lines: list[report.Line] = []
    with tempfile.TemporaryDirectory(prefix="decant-bench-") as folder:
        system = System(Path(folder) / "state", scrape_interval_s=2)
        try:
            if not set(chosen) <= ALONE:
                system.start()
            bench = Bench(Path(folder), system)
            for section in SECTIONS:
                if section in chosen:
                    print(f"measuring {section} ...", file=sys.stderr, flush=True)
                    run: Callable[[], list[report.Line]] = getattr(bench, section)
                    lines += run()
        finally:
            system.stop()
            print(f"\n{report.machine()}\n\n{report.table(lines)}")
    missed = [line.measure for line in lines if line.ok is False]
    print(
        f"\n{len(missed)} of {sum(line.ok is not None for line in lines)} promises missed{': ' if missed else ''}"
        f"{'; '.join(missed)}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
