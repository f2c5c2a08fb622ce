"""The ledger with a million outcomes: how fast they go in, how big they are, how fast the sums come out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import sqlalchemy as sa

from services.domain import PAIRED, ChangeNote, Deployment, Outcome, OutcomeStatus, Predictor
from services.evidence.database import open_database
from services.evidence.late import LateTruth
from services.evidence.schema import ab_tests
from services.evidence.store import EvidenceStore
from services.metrics.prometheus import MetricsReader
from services.settings import Settings
from services.stats import gates
from services.tracking.models import ModelCatalogue
from services.tracking.runs import RunCatalogue
from services.traffic.datasets import load_dataset
from services.traffic.rewards import Reward, RewardKind
from services.truths.attaching import CHUNK
from services.verdict.reading import Sources
from services.verdict.rows import MOST_PAIRS
from services.verdict.rule import Rule
from services.verdict.service import Verdicts
from tests.benchmarks.report import Line
from tests.support.memory_engine import MemoryEngine

OUTCOMES = 1_000_000
BATCH = 480
"""What a replay of 1,600 rows a second hands over every 0.3 seconds."""

FASTEST_REPLAY = 1_600
REWARD = Reward(RewardKind.FORMULA, expression="1 / (1 + (y - y_pred) ** 2)")
"""Nobody knows the bound of a formula, so its tail is looked at in every assessment."""
READS = 5
LATE = 20_000
START = datetime(2026, 1, 1, tzinfo=UTC)
HALF = OUTCOMES // 2


def measure(folder: Path) -> list[Line]:
    """Half of the outcomes came through the split, half from a paired replay: 250,000 pairs."""
    path = folder / "ledger.db"
    database = open_database(f"sqlite:///{path}")
    store = EvidenceStore(database)
    verdicts = _test_under_way(folder, store, database)
    spec = {"reward": REWARD.to_json(), "dataset": "wine-quality", "target": "quality", "digest": "0123456789abcdef"}
    live = store.replays.add("seldon", "wine", {**spec, "mode": "live"}, HALF, "done", "bench").id
    pair_spec = {**spec, "mode": "paired", "arms": ["a", "b"]}
    paired = store.replays.add("seldon", "wine", pair_spec, HALF // 2, "done", "bench").id
    live_per_s, live_worst = _fill(store, _live(live))
    paired_per_s, paired_worst = _fill(store, _paired(paired))
    with database.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    size_mib = path.stat().st_size / 2**20
    blocks, block_s = _timed(lambda: store.ledger.blocks("seldon", "wine"))
    pairs, pair_s = _timed(lambda: store.ledger.pair_blocks("seldon", "wine"))
    window = {"since": START + timedelta(seconds=1000), "until": START + timedelta(seconds=9000)}
    _, window_s = _timed(lambda: store.ledger.blocks("seldon", "wine", **window))
    _, widest_s = _timed(lambda: store.ledger.largest_disagreements([paired], limit=10))
    _, tail_s = _timed(lambda: store.ledger.top_rewards([live, paired], "b", gates.HILL_MOST + 1))
    found, assess_s = _timed(lambda: [verdicts.assess("seldon", "wine")])
    assert found[0].paired is not None and found[0].paired.n == HALF // 2
    closer_s = _closer_look(folder)
    late_per_s = _attach(store, live)
    whole = sum(b.sent for b in blocks) == OUTCOMES and sum(p.n for p in pairs) == HALF // 2
    database.dispose()
    read_s = block_s + pair_s
    return [
        _speed("outcomes/s into the ledger, a live replay's batches", live_per_s, live_worst, FASTEST_REPLAY),
        _speed("outcomes/s into the ledger, a paired replay's batches", paired_per_s, paired_worst, 2 * FASTEST_REPLAY),
        Line("file of 1,000,000 outcomes", f"{size_mib:,.0f} MiB ({size_mib * 2**20 / OUTCOMES:,.0f} B each)"),
        Line("rows and sums agree after that", "yes" if whole else "no", "", "", "yes", whole),
        Line(
            f"all sums of 1,000,000 outcomes ({len(blocks):,} blocks, {len(pairs):,} pair blocks)",
            f"{read_s * 1000:,.0f} ms",
            promised="under 1 s",
            ok=read_s < 1,
        ),
        Line(
            "assessment of 1,000,000 outcomes, as the Verdict page asks for it",
            f"{assess_s * 1000:,.0f} ms",
            promised="under 1 s",
            ok=assess_s < 1,
        ),
        Line(
            f"first assessment of {MOST_PAIRS:,} pairs of a file, the most whose rows are looked at one by one",
            f"{closer_s * 1000:,.0f} ms",
            promised="under 1 s",
            ok=closer_s < 1,
        ),
        Line(f"late truths/s, {LATE:,} of one arm in random order", f"{late_per_s:,.0f}"),
        Line("sums of a stretch of time that cuts blocks", f"{window_s * 1000:,.0f} ms"),
        Line("ten largest disagreements of 250,000 pairs", f"{widest_s * 1000:,.0f} ms"),
        Line(f"{gates.HILL_MOST + 1:,} largest rewards of an arm", f"{tail_s * 1000:,.0f} ms"),
    ]


def _closer_look(folder: Path) -> float:
    """Seconds of the first assessment that reads the rows themselves; later ones remember what was found."""
    path = folder / "rows.csv"
    chance = np.random.default_rng(4)
    frame = pd.DataFrame(chance.normal(size=(MOST_PAIRS, 11)), columns=[f"feature {i}" for i in range(11)])
    frame.assign(quality=chance.integers(3, 10, MOST_PAIRS)).to_csv(path, index=False)
    digest = load_dataset(str(path)).digest
    database = open_database(f"sqlite:///{folder / 'rows.db'}")
    store = EvidenceStore(database)
    verdicts = _test_under_way(folder, store, database)
    spec = {"reward": REWARD.to_json(), "dataset": str(path), "target": "quality", "digest": digest}
    spec |= {"mode": "paired", "arms": ["a", "b"]}
    replay = store.replays.add("seldon", "wine", spec, MOST_PAIRS, "done", "bench").id
    verdicts.assess("seldon", "wine")  # MLflow's first answer is not what is measured
    _fill(store, (replace(outcome, digest=digest) for outcome in _paired(replay, MOST_PAIRS)))
    began = time.perf_counter()
    found = verdicts.assess("seldon", "wine")
    took = time.perf_counter() - began
    assert found.slices_note.startswith("Looked at 11 features"), found.slices_note
    database.dispose()
    return took


def _test_under_way(folder: Path, store: EvidenceStore, database: sa.Engine) -> Verdicts:
    """A test that began before the first outcome; without Prometheus, so that the ledger has to say everything."""
    settings = Settings(state_dir=folder, mlflow_tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    engine, uri = MemoryEngine(), settings.tracking_uri
    note = ChangeNote("bench", "the ledger")
    arms = (Predictor("a", "/models/a", 80), Predictor("b", "/models/b", 20))
    engine.apply(Deployment("seldon", "wine", arms), note=note)
    metrics = MetricsReader("http://127.0.0.1:9", settings.scrape_interval_s)
    sources = Sources(store, engine, metrics, ModelCatalogue(uri), RunCatalogue(uri), settings)
    verdicts = Verdicts(sources)
    test = verdicts.start("seldon", "wine", Rule(reward=REWARD), note=note)
    with database.begin() as connection:
        connection.execute(sa.update(ab_tests).where(ab_tests.c.id == test.id).values(started_at=START))
    return verdicts


def _speed(measure: str, per_s: float, worst_s: float, needed: float) -> Line:
    return Line(
        f"{measure} (slowest batch {worst_s * 1000:,.0f} ms)",
        f"{per_s:,.0f}",
        "fastest replay",
        f"{per_s / needed:.1f}x",
        f"{needed:,}",
        per_s > needed,
    )


def _fill(store: EvidenceStore, outcomes: Iterator[Outcome]) -> tuple[float, float]:
    """Outcomes per second of recording alone, and the seconds of the slowest batch."""
    spent, worst, recorded = 0.0, 0.0, 0
    while batch := [outcome for _, outcome in zip(range(BATCH), outcomes, strict=False)]:
        began = time.perf_counter()
        recorded += store.record_outcomes(batch)
        took = time.perf_counter() - began
        spent, worst = spent + took, max(worst, took)
    return recorded / spent, worst


class _Pricing:
    """Late rewards come as they are."""

    def reward(self, *_: object) -> None:
        return None

    def known(self, _: object) -> bool:
        return True

    def counted(self, _: object) -> bool:
        return False


def _attach(store: EvidenceStore, replay: int) -> float:
    """Late truths per second: rewards of live rows that had none, a thousand at a time."""
    rows = [
        replace(_outcome(replay, HALF + row, "a", "a=80,b=20", random.Random(row)), truth=None, reward=None)
        for row in range(LATE)
    ]
    store.record_outcomes(rows)
    late = [LateTruth(outcome.puid, truth=6, reward=0.5) for outcome in rows]
    random.Random(3).shuffle(late)
    began = time.perf_counter()
    for start in range(0, LATE, CHUNK):
        store.ledger.attach(late[start : start + CHUNK], _Pricing(), who="bench")
    return LATE / (time.perf_counter() - began)


def _live(replay: int) -> Iterator[Outcome]:
    chance = random.Random(1)
    for row in range(HALF):
        yield _outcome(replay, row, "a" if chance.random() < 0.8 else "b", "a=80,b=20", chance)


def _paired(replay: int, pairs: int = HALF // 2) -> Iterator[Outcome]:
    chance = random.Random(2)
    for row in range(pairs):
        for arm in "ab":
            yield _outcome(replay, row, arm, PAIRED, chance)


def _outcome(replay: int, row: int, arm: str, segment: str, chance: random.Random) -> Outcome:
    truth, prediction = chance.randint(3, 9), chance.gauss(5.8, 0.6)
    return Outcome(
        f"r{replay}-0-{row}-{arm}", "seldon", "wine", arm, segment, replay, row, prediction, truth,
        1 / (1 + (truth - prediction) ** 2), chance.lognormvariate(1, 1), OutcomeStatus.OK,
        START + timedelta(seconds=row / FASTEST_REPLAY * 60), digest="0123456789abcdef", paired=segment == PAIRED,
    )  # fmt: skip


def _timed(read: Callable[[], list]) -> tuple[list, float]:  # type: ignore[type-arg]
    """The answer, and the median seconds it took."""
    took = []
    for _ in range(READS):
        began = time.perf_counter()
        answer = read()
        took.append(time.perf_counter() - began)
    return answer, median(took)
