"""A store on disk, a deployment with two arms at 80/20 and counters of one's choice: what an assessment reads."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from services.domain import ChangeNote, Deployment, Outcome, OutcomeStatus, Predictor
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.settings import Settings
from services.stats.sums import Sums
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from services.traffic.client import PredictionClient
from services.traffic.rewards import Reward, RewardKind
from services.truths.attaching import attach_truths
from services.verdict.model import Assessment, Check
from services.verdict.reading import Sources
from services.verdict.rule import ABTest, Rule
from services.verdict.service import Verdicts
from tests.support.counter_source import CounterSource
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import outcome

NOTE = ChangeNote("ann", "a test")
BOUNDED, NEGATIVE = Reward(RewardKind.BOUNDED), Reward(RewardKind.ABSOLUTE)
SENT = {"a": 800, "b": 200}


@dataclass
class VerdictWorld:
    """Assessments of `seldon/wine`; everything but the counters' numbers is real."""

    store: EvidenceStore
    engine: MemoryEngine
    counters: CounterSource
    verdicts: Verdicts
    sources: Sources

    def deploy(self, protocol: str = "seldon") -> None:
        arms = (Predictor("a", "models:/m-a", 80), Predictor("b", "models:/m-b", 20))
        self.engine.apply(Deployment("seldon", "wine", arms, protocol=protocol), note=NOTE)

    def begin(self, rule: Rule | None = None) -> ABTest:
        return self.verdicts.start("seldon", "wine", rule or Rule(reward=BOUNDED), note=NOTE)

    def live(self, reward: Reward = BOUNDED, gain: float = 0.0, *, ledger: bool = True, counters: bool = True) -> None:
        """1,000 rewards of live traffic, B's higher by `gain`: in the ledger (as a replay's), the counters, or both."""
        spec = {"mode": "live", "reward": reward.to_json(), "digest": "w", "feedback": reward.counted}
        replay = self.store.replays.add("seldon", "wine", spec, sum(SENT.values()), "done", "ann").id
        rows: list[Outcome] = []
        for arm, n in SENT.items():
            earned = np.random.default_rng(n).permutation(np.linspace(0.3, 0.5, n)) + (gain if arm == "b" else 0.0)
            rows += [self._row(arm, replay, len(rows) + k, reward=float(r)) for k, r in enumerate(earned)]
            if counters:
                self.counters.count(arm, Sums.of(earned))
        if ledger:
            self.store.ledger.record(rows)

    def one_arm(self, **spec: object) -> int:
        """A replay of 300 rows to b, the truths of 200 of which are not known yet; returns its number."""
        stored = {"mode": "pinned", "predictor": "b", "reward": BOUNDED.to_json(), "digest": "o", **spec}
        number = self.store.replays.add("seldon", "wine", stored, 300, "done", "ann").id
        past: dict[str, object] = {"segment": "pinned:b", "routed": False}
        bare = past | {"truth": None, "reward": None}
        self.store.ledger.record([self._row("b", number, row, **(past if row < 100 else bare)) for row in range(300)])
        return number

    def attach(self, number: int) -> None:
        """The truths that `one_arm` left out."""
        lines = ["puid,truth\n", *(f"r{number}-0-{row},6\n" for row in range(100, 300))]
        with closing(PredictionClient()) as client:
            report = attach_truths(self.engine, client, self.store, lines, who="ann")
        assert (report.attached, report.fed, report.unfed) == (200, 0, 0)

    def assess(self) -> Assessment:
        return self.verdicts.assess("seldon", "wine")

    @staticmethod
    def _row(arm: str, replay: int, row: int, **values: object) -> Outcome:
        return outcome(row, arm, replay, **({"at": datetime.now(UTC), "status": OutcomeStatus.OK} | values))


def open_world(folder: Path) -> VerdictWorld:
    settings = Settings(state_dir=folder, scrape_interval_s=1, mlflow_tracking_uri=f"sqlite:///{folder}/mlflow.db")
    store = EvidenceStore(open_database(f"sqlite:///{folder / 'decant.db'}"))
    engine, counters = MemoryEngine(), CounterSource()
    models, runs = ModelCatalogue(settings.tracking_uri), RunCatalogue(settings.tracking_uri)
    sources = Sources(store, engine, counters, models, runs, settings)
    made = VerdictWorld(store, engine, counters, Verdicts(sources), sources)
    made.deploy()
    return made


def check_of(found: Assessment, key: str) -> Check:
    return next(check for check in found.checks if check.key == key)
