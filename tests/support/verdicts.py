"""Assessments as the Verdict page may meet them, one per call and a few odd ones, and a service that hands them out.

The numbers are of the right size for the wine data; calls and headlines come from the real rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from services.domain import ChangeNote
from services.errors import DecantError, InvalidInput, NotFound
from services.verdict.answer_rows import GUARDRAILS, JUDGED_LIVE
from services.verdict.decide import decide
from services.verdict.model import (
    Assessment,
    Cell,
    Check,
    CurvePoint,
    Disagreement,
    Interval,
    Light,
    Mark,
    MetricRow,
    Side,
    Slice,
    Strand,
)
from services.verdict.rule import ABTest, Decides, LiveFrom, Rule, Source
from services.verdict.service import no_test
from services.verdict.traffic import unread_strand

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GREEN = (
    Check("attribution", "Attribution", Light.GREEN, "Every reward is counted at the arm that made the prediction."),
    Check("split", "Split as configured", Light.GREEN, "B got 19.8 % of 6,210 requests, 20 % were meant for it."),
    Check("enough", "Enough data", Light.GREEN, "500 pairs and 1,180 live rewards of the arm with fewer."),
    Check("reward", "Reward well-behaved", Light.GREEN, "No single reward is more than 0.1 % of its arm's sum."),
    Check("feedback", "Feedback complete", Light.GREEN, "99.8 % of A's and 99.7 % of B's predictions have a reward."),
    Check("environment", "Same environment", Light.GREEN, "Both models have one signature and the same libraries."),
)


def check(key: str, light: Light, sentence: str, advice: str) -> tuple[Check, ...]:
    """The green strip with one check changed."""
    return tuple(replace(c, light=light, sentence=sentence, advice=advice) if c.key == key else c for c in GREEN)


def curve(source: Source, n: int, effect: float, sd: float, planned: int, seed: int = 1) -> tuple[CurvePoint, ...]:
    """An asymptotic confidence sequence over normal differences, as the page would be given."""
    values = np.random.default_rng(seed).normal(effect, sd, n)
    r = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / planned
    points = []
    for k in np.unique(np.linspace(min(100, n), n, 60).astype(int)):
        mean, se = float(values[:k].mean()), float(values[:k].std(ddof=1) / math.sqrt(k))
        half = se * math.sqrt((1 + 1 / (k * r)) * math.log((k * r + 1) / 0.05**2))
        p = min(1.0, math.sqrt(1 + k * r) * math.exp(-((mean / se) ** 2) * k * r / (2 * (1 + k * r))))
        at = START + timedelta(seconds=float(k) * (0.05 if source is Source.PAIRED else 3))
        points.append(CurvePoint(int(k), at, Interval(mean, mean - half, mean + half, 0.95, p)))
    return tuple(points)


def strand(source: Source, n: int, effect: float, sd: float, planned: int, **more: object) -> Strand:
    """Evidence of one source with its curve; `more` overrides its fields."""
    points = curve(source, n, effect, sd, planned)
    last = points[-1].interval
    half = 1.96 * sd / math.sqrt(n)
    given: dict[str, object] = {
        "n": n,
        "n_a": n if source is Source.PAIRED else round(n * 0.8),
        "n_b": n if source is Source.PAIRED else n - round(n * 0.8),
        "interval": last,
        "curve": points,
        "welch": Interval(last.estimate, last.estimate - half, last.estimate + half, 0.95, 0.01),
        "agreement": 0.37 if source is Source.PAIRED else None,
        "formula": "mean of the paired differences; asymptotic confidence sequence"
        if source is Source.PAIRED
        else "augmented inverse propensity weighting per scrape interval; asymptotic confidence sequence",
        "query": "outcomes of the paired replays 3 and 4 of this test, per pair"
        if source is Source.PAIRED
        else 'seldon_api_executor_reward_total{deployment_name="wine"}[6h]',
    }
    return Strand(source=source, **{**given, **more})  # type: ignore[arg-type]


def _row(key: str, label: str, source: Source, a: float, b: float, n: tuple[int, int], half: float, **more: object):
    given: dict[str, object] = {"higher_is_better": False, **more}
    level = 1 - 0.05 / GUARDRAILS if given.get("limit") is not None else 0.95
    interval = Interval(b - a, b - a - half, b - a + half, level)
    return MetricRow(key, label, source, Cell(a, n[0]), Cell(b, n[1]), interval, **given)  # type: ignore[arg-type]


def table(
    paired: Strand | None,
    live: Strand | None,
    *,
    rule: Rule | None = None,
    slow_b: float = 0.013,
    worse: bool = False,
) -> tuple[MetricRow, ...]:
    """Metrics of both sources, as far as there are any, as the service orders them."""
    rule, rows = rule or Rule(), []
    for found in (paired, live):
        if found is None:
            continue
        i = found.interval
        b = None if i is None else 0.7258 + i.estimate
        cells = Cell(0.7258, found.n_a), Cell(b, found.n_b)
        flags = {"primary": True, "decides": rule.decided_by(found.source)}
        rows.append(MetricRow("reward", "Mean reward", found.source, *cells, i, True, note=found.withheld, **flags))
    if paired is not None:
        n = (paired.n, paired.n)
        rows.append(_row("rmse", "RMSE", Source.PAIRED, 0.8252, 0.8362 if worse else 0.8142, n, 0.0042))
        rows.append(_row("mae", "MAE", Source.PAIRED, 0.6323, 0.6339 if worse else 0.6277, n, 0.0031))
        slow = {"unit": "share", "note": JUDGED_LIVE}
        rows.append(_row("slow", "Slower than 100 ms", Source.PAIRED, 0.002, 0.002, n, 0.006, **slow))
    if live is not None:
        n = (live.n_a, live.n_b)
        p95 = Cell(4.1, n[0]), Cell(6.3, n[1])
        rows.append(
            MetricRow(
                "p95",
                "p95 latency",
                Source.LIVE,
                *p95,
                None,
                False,
                "ms",
                note="no interval for a quantile: see the share of slow predictions",
            )
        )
        slow = {"unit": "share", "limit": 0.05}
        rows.append(_row("slow", "Slower than 100 ms", Source.LIVE, 0.011, slow_b, n, 0.009, **slow))
        rows.append(_row("errors", "Errors", Source.LIVE, 0.0, 0.0008, n, 0.004, unit="share", limit=0.01))
    return tuple(rows)


def ab_test(deployment: str, rule: Rule | None = None, **more: object) -> ABTest:
    given: dict[str, object] = {
        "id": 3,
        "namespace": "seldon",
        "deployment": deployment,
        "rule": rule or Rule(),
        "model_a": "models:/m-a",
        "model_b": "models:/m-b",
        "who": "ann",
        "started_at": START,
        "why": "is the wider model better?",
        **more,
    }
    return ABTest(**given)  # type: ignore[arg-type]


def assessed(
    test: ABTest, checks: tuple[Check, ...], paired: Strand | None, live: Strand | None, **more: object
) -> Assessment:
    """An assessment whose call comes from the real rule."""
    rows = more.pop("table", None) or table(paired, live, rule=test.rule)
    verdict = decide(test, checks, paired, live, rows)  # type: ignore[arg-type]
    return Assessment(
        test,
        START + timedelta(hours=5),
        verdict.call,
        verdict.headline,
        verdict.fired,
        checks,
        paired,
        live,
        rows,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


MARKS = (
    Mark(START + timedelta(hours=1), "ann", "traffic a 80 % / b 20 % → a 70 % / b 30 %", "B holds up"),
    Mark(START + timedelta(hours=3), "bob", "a: 1 → 2 replicas", ""),
)
DISAGREEMENTS = tuple(
    Disagreement(4, row, truth, a, b, 1 / (1 + (truth - a) ** 2), 1 / (1 + (truth - b) ** 2))
    for row, truth, a, b in ((4745, 8, 5.61, 6.44), (17, 3, 5.92, 5.2), (2210, 9, 6.02, 6.7), (981, 6, 6.41, 5.95))
)


def ship() -> Assessment:
    """B is better on the replay, live traffic says nothing yet; B loses on one slice."""
    paired = strand(Source.PAIRED, 500, 0.004, 0.007, 500)
    live = strand(Source.LIVE, 6210, 0.004, 0.24, 5000, adjusted_for=1, remaining_n=168_000, remaining_s=504_000)
    slices = (
        Slice("alcohol 8.0 to 9.4", "alcohol", 96, -0.0121, -0.0094, 0.004, Side.LOSS, True, 0.002),
        Slice("pH 3.3 to 3.8", "pH", 101, 0.0105, 0.0088, 0.03, Side.GAIN),
    )
    return assessed(
        ab_test("ship"),
        GREEN,
        paired,
        live,
        disagreements=DISAGREEMENTS,
        slices=slices,
        slices_note="Looked at 11 features of 500 rows of replay 4; false-discovery rate 5%.",
        marks=MARKS,
    )


def keep() -> Assessment:
    """B is worse, and the minimum effect is set."""
    rule = Rule(minimum_effect=0.002)
    checks = check(
        "feedback", Light.AMBER, "97 % of A's and 94 % of B's predictions have a reward.", "Look at B's log."
    )
    paired = strand(Source.PAIRED, 420, -0.005, 0.009, 500)
    return assessed(
        ab_test("keep", rule),
        checks,
        paired,
        None,
        table=table(paired, None, worse=True),
        slices_note="Looked at 11 features of 420 rows of replay 4: nothing stands out beyond chance.",
    )


def running() -> Assessment:
    """Live traffic alone, not enough of it, with names of their own for the arms."""
    live = strand(Source.LIVE, 1240, 0.02, 0.24, 5000, remaining_n=4300, remaining_s=4000, adjusted_for=2)
    test = ab_test("running", Rule("cautious-wine-dag", "bold-wine-dag", decides=Decides.LIVE))
    return assessed(test, GREEN, None, live, table=table(None, live, rule=test.rule, slow_b=0.03), marks=MARKS)


def distrust() -> Assessment:
    """The tutorial's reward: the tail flag withholds both intervals."""
    said = "One reward is 43 % of A's sum, so the mean depends on how much traffic an arm got."
    checks = check("reward", Light.RED, said, "Start a new test with the bounded reward 1/(1 + e²).")
    held = {"interval": None, "curve": (), "welch": None, "withheld": said}
    paired = strand(Source.PAIRED, 800, 0.0, 1.0, 500, **held)
    live = strand(Source.LIVE, 2100, 0.0, 1.0, 5000, **held)
    return assessed(ab_test("distrust", who="<b>eve</b>", why="a & b <script>"), checks, paired, live)


def fresh() -> Assessment:
    """A test that has just begun: nothing to see yet."""
    waiting = "Nothing that earned a reward has been sent in this test yet."
    checks = tuple(replace(c, light=Light.GREY, sentence=waiting, advice="Start a paired replay.") for c in GREEN[:5])
    return assessed(ab_test("fresh"), (*checks, GREEN[5]), None, None)


def unread() -> Assessment:
    """The counters, from which the rule reads live traffic, are silent; the ledger's own rows are shown beside."""
    rule = Rule(decides=Decides.LIVE, live_from=LiveFrom.COUNTERS)
    silent = unread_strand(rule, "This test reads live traffic from the arms’ counters. Prometheus does not answer.")
    beside = strand(Source.LIVE, 4000, 0.05, 0.24, 5000, read_from=LiveFrom.LEDGER)
    return assessed(ab_test("unread", rule), GREEN, None, silent, table=table(None, silent, rule=rule), beside=beside)


EXAMPLES = {made.__name__: made for made in (ship, keep, running, distrust, fresh, unread)}


@dataclass
class ExampleVerdicts:
    """Hands out the example with the deployment's name; what was started and ended can be read back."""

    down: DecantError | None = None
    started: list[tuple[Rule, ChangeNote]] = field(default_factory=list)
    past: dict[str, list[ABTest]] = field(default_factory=dict)

    def assess(self, namespace: str, deployment: str, test_id: int | None = None) -> Assessment:
        self._reach()
        found = next((t for t in self.tests(namespace, deployment) if test_id in (None, t.id)), None)
        if found is None:
            raise no_test(namespace, deployment)
        made = EXAMPLES[deployment]() if deployment in EXAMPLES else assessed(found, GREEN, None, None)
        return replace(made, test=found)

    def tests(self, namespace: str, deployment: str) -> list[ABTest]:
        self._reach()
        if deployment in EXAMPLES and deployment not in self.past:
            return [EXAMPLES[deployment]().test]
        return list(self.past.get(deployment, []))

    def untested(self, namespace: str, deployment: str) -> NotFound:
        return no_test(namespace, deployment)

    def propose(self, namespace: str, deployment: str) -> Rule:
        self._reach()
        return Rule()

    def start(self, namespace: str, deployment: str, rule: Rule, *, note: ChangeNote) -> ABTest:
        self._reach()
        if not note.why:
            raise InvalidInput("A test needs a reason.")
        self.started.append((rule.validated(), note))
        before = self.tests(namespace, deployment)
        number = max([t.id for t in before], default=0) + 1
        made = ab_test(deployment, rule, id=number, who=note.who, why=note.why)
        ended = [replace(t, ended_at=t.ended_at or START, ended_why=t.ended_why or "replaced") for t in before]
        self.past[deployment] = [made, *ended]
        return made

    def end(self, test_id: int, *, note: ChangeNote) -> ABTest:
        for tests in self.past.values():
            for place, test in enumerate(tests):
                if test.id == test_id:
                    tests[place] = replace(test, ended_at=START, ended_why=note.why)
                    return tests[place]
        raise NotFound("test", str(test_id))

    def _reach(self) -> None:
        if self.down is not None:
            raise self.down
