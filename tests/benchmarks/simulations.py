"""The full form of tests/simulation: the table of docs/statistics.md. The peer is the usual way to look at the data."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from services.traffic.rewards import Reward, RewardKind
from services.verdict.rule import Decides, Rule
from tests.benchmarks.report import Line
from tests.simulation.attribution import MEAN_A, MEAN_B, attribute
from tests.simulation.chance import Share
from tests.simulation.counting import cover, peek_counters
from tests.simulation.drift import DAYS, live_through, stratify
from tests.simulation.families import FAMILIES, TUTORIAL, bernoulli, bounded, mean_bounded, normal, of_residuals
from tests.simulation.pairs import PAIRS, PLANTED, replay
from tests.simulation.peeking import ahead, errors, peek
from tests.simulation.places import read_live
from tests.simulation.routing import route
from tests.simulation.slicing import BETTER, EQUAL, ONE_EQUAL, ONE_WORSE, WORSE, name_parts
from tests.simulation.sources import both_sources
from tests.simulation.wines import shuffle

SEED = 20_261
RUNS = 10_000
LONG_RUNS = 5000
SLOW_RUNS = 2000
ALPHA = 0.05


def measure() -> list[Line]:
    """All experiments, some minutes; says on stderr how far it is."""
    lines = []
    for part in PARTS:
        print(f"  {part.__name__.strip('_').replace('_', ' ')} ...", file=sys.stderr, flush=True)
        lines += list(part())
    return lines


def _at_most(measure: str, found: Share, peer: str = "", limit: float = ALPHA) -> Line:
    """A promise of "at most": held if the true share is below the limit with 99 % confidence."""
    return Line(measure, f"{found} of {found.runs:,}", peer, "", f"at most {100 * limit:g} %", found.at_most <= limit)


def _at_least(measure: str, found: Share, limit: float, peer: str = "") -> Line:
    return Line(measure, f"{found} of {found.runs:,}", peer, "", f"at least {100 * limit:g} %", found.at_least >= limit)


def _equal_arms() -> Iterator[Line]:
    for family in FAMILIES:
        for share_b in (0.5, 0.2):
            found = peek(family, family, share_b=share_b, runs=RUNS, seed=SEED)
            peer = f"{found.classical}; no gates {found.ungated}; once {found.once}"
            yield _at_most(f"false alarms, {family.name}, B {100 * share_b:g} %", found.gated, peer)
    raw = peek(TUTORIAL, TUTORIAL, share_b=0.2, runs=RUNS, seed=SEED)
    yield _at_most("interval shown at all, 1/e², B 20 %", raw.shown, f"{raw.classical}", 0.01)
    lucky = ahead(TUTORIAL, 0.2, runs=RUNS, seed=SEED)
    fair = ahead(FAMILIES[6], 0.2, runs=RUNS, seed=SEED)
    yield Line("equal models at 80/20: A ahead, 1/(1 + e²)", f"{fair} of {RUNS:,}", f"with 1/e² {lucky}")


def _long() -> Iterator[Line]:
    """Ten times as long: 50,000 requests."""
    for family in (normal(), FAMILIES[3], FAMILIES[4], FAMILIES[6]):
        found = peek(family, family, share_b=0.2, runs=LONG_RUNS, seed=SEED + 1, looks=1000)
        peer = f"{found.classical}; no gates {found.ungated}; once {found.once}"
        yield _at_most(f"false alarms, {family.name}, B 20 %, 1,000 looks", found.gated, peer)


def _small_share() -> Iterator[Line]:
    """5 % to B, where the mean of few rewards is compared with that of many: skew does not cancel."""
    for family in (normal(), bernoulli(0.1), FAMILIES[6]):
        found = peek(family, family, share_b=0.05, runs=RUNS, seed=SEED + 12, looks=200)
        yield _at_most(f"false alarms, {family.name}, B 5 %, 200 looks", found.gated, f"no gates {found.ungated}")
    skewed = peek(FAMILIES[3], FAMILIES[3], share_b=0.05, runs=RUNS, seed=SEED + 12, looks=200)
    name = f"false alarms, {FAMILIES[3].name}, B 5 %, 200 looks"
    yield Line(name, f"{skewed.gated} of {RUNS:,}", f"no gates {skewed.ungated}")


def _planted() -> Iterator[Line]:
    worse = of_residuals("", bounded, 0.85)
    truth = mean_bounded(0.85) - mean_bounded(0.75)
    cases = (
        ("1/(1 + e²), sd of e .75 → .85, B 20 %", of_residuals("", bounded), worse, 0.2, truth, 0.9),
        ("normal, .15 sd, B 50 %", normal(), normal(1.15), 0.5, 0.15, 0.97),
        ("normal, .10 sd, B 50 %", normal(), normal(1.1), 0.5, 0.1, 0.7),
    )
    for name, a, b, share_b, true, least in cases:
        found = peek(a, b, share_b=share_b, runs=RUNS, seed=SEED + 2, truth=true)
        yield _at_least(f"found within 5,000: {name}", found.found, least)
        yield _at_most(f"truth missed at any look: {name}", found.gated, f"{found.classical}; once {found.once}")


def _pairs() -> Iterator[Line]:
    for pairs in PAIRS[:3]:
        found = replay(pairs, runs=RUNS, seed=SEED + 3)
        yield _at_most(f"false alarms, pairs, {pairs.name}", found.gated, f"no gates {found.ungated}")
    for pairs in PAIRS[3:]:  # more lopsided than any gate that leaves power can hold: measured, not promised
        found = replay(pairs, runs=RUNS, seed=SEED + 3)
        yield Line(f"false alarms, pairs, {pairs.name}", f"{found.gated} of {RUNS:,}", f"no gates {found.ungated}")
    yield _at_least(f"found within 2,000 pairs: {PLANTED.name}", replay(PLANTED, runs=RUNS, seed=SEED + 3).found, 0.99)
    wines = shuffle(Reward(RewardKind.BOUNDED), runs=SLOW_RUNS, seed=SEED + 3)
    yield _at_least("wine rows in random order: B named within 400", wines.for_b, 0.8)
    yield _at_most("wine rows in random order: A named within 400", wines.for_a, limit=0.01)


def _sources() -> Iterator[Line]:
    for decides in Decides:
        found = both_sources(Rule(decides=decides), runs=LONG_RUNS, seed=SEED + 13)
        each = "half of α" if decides is Decides.EITHER else "α"
        peer = f"pairs {found.by_pairs}, live {found.by_live}, one of them {found.whichever}, each at {each}"
        yield _at_most(f"winner named, equal arms, both sources, decided by {decides}", found.named, peer)


def _places() -> Iterator[Line]:
    """Live traffic read from where the rule says; what a test would risk that took either as it comes, beside it."""
    for family in (FAMILIES[6], bernoulli(0.1), normal()):
        found = read_live(family, runs=SLOW_RUNS, seed=SEED + 14)
        peer = f"ledger until the counters can: {found.one_then_other}; one of them: {found.whichever}"
        yield _at_most(f"false alarms, live read from the counters, {family.name}", found.counters, peer)
        yield _at_most(f"false alarms, live read from the ledger, {family.name}", found.ledger, peer)


def _guardrails() -> Iterator[Line]:
    for rate in (0.001, 0.01, 0.1):
        by_share = {share: errors(rate, share, runs=RUNS, seed=SEED + 4) for share in (0.5, 0.2, 0.05)}
        worst = max(by_share.values(), key=lambda found: found.value)
        said = ", ".join(f"B {100 * share:g} %: {found}" for share, found in by_share.items())
        yield _at_most(f"guardrail alarms, both arms fail {100 * rate:g} %, worst share", worst, said)


def _routing() -> Iterator[Line]:
    right = route(runs=RUNS, seed=SEED + 5)
    yield _at_most("mismatch alarms (amber), correct routing", right.amber, f"{right.classical}", 0.01)
    yield _at_most("mismatch alarms (red), correct routing", right.red, f"totals {right.totals}", 0.002)
    for lost, least in ((0.05, None), (0.1, 0.75), (0.2, 0.99)):
        found = route(runs=RUNS, seed=SEED + 5, lost_b=lost)
        name, peer = f"mismatch noticed (amber), B loses {100 * lost:g} %", f"red {found.red}"
        yield _at_least(name, found.amber, least, peer) if least else Line(name, f"{found.amber} of {RUNS:,}", peer)
    late = route(runs=RUNS, seed=SEED + 5, lag=2)
    yield Line(
        "mismatch alarms (amber), split in force 100 requests late", f"{late.amber} of {RUNS:,}", f"{late.classical}"
    )


def _drift() -> Iterator[Line]:
    for day in DAYS:
        found = live_through(day, runs=SLOW_RUNS, seed=SEED + 6)
        peer = f"pooled {found.pooled}, off by {found.pooled_bias:+.3f} sd"
        yield _at_most(f"false alarms, weighted, {day.name}", found.aipw, peer)
        yield _at_most(f"false alarms, strata, {day.name}", stratify(day, runs=SLOW_RUNS, seed=SEED + 6))
    planted = live_through(DAYS[2], runs=SLOW_RUNS, seed=SEED + 7, truth=0.1)
    yield _at_least(
        f"found, weighted, B .1 sd better, {DAYS[2].name}", planted.found, 0.6, f"pooled says worse: {planted.wrong}"
    )


def _counters() -> Iterator[Line]:
    for family in (FAMILIES[6], bernoulli(0.1), bernoulli(0.01), FAMILIES[4], FAMILIES[3]):
        found = peek_counters(family, share_b=0.2, runs=SLOW_RUNS, seed=SEED + 8, bound=family.bound)
        blind = peek_counters(family, share_b=0.2, runs=SLOW_RUNS, seed=SEED + 8) if family.bound else None
        peer = f"bound not known: {blind}" if blind else ""
        yield _at_most(f"false alarms, counters, {family.name}, B 20 %", found, peer)
    for intervals in (5, 10, 20, 60):
        for name, family, shock in (("1/(1 + e²)", FAMILIES[6], 0.0), ("normal, common shock .3 sd", normal(), 0.3)):
            held = cover(family, intervals=intervals, runs=SLOW_RUNS, seed=SEED + 9, shock_sd=shock)
            yield Line(
                f"classical 95 % interval holds the truth, {intervals} intervals, {name}",
                f"{held.batches} from counters",
                f"{held.rows} from rows",
            )


def _slices() -> Iterator[Line]:
    equal = name_parts(EQUAL, runs=SLOW_RUNS, seed=SEED + 10)
    for world in (EQUAL, ONE_EQUAL, BETTER):
        found = equal if world is EQUAL else name_parts(world, runs=SLOW_RUNS, seed=SEED + 10)
        yield _at_most(f"“B loses on”, B {world.name}", found.loss, f"some part unlike the rest {found.apart}")
    for world in (EQUAL, WORSE):
        found = name_parts(world, runs=SLOW_RUNS, seed=SEED + 15)
        yield _at_most(f"“B gains on”, B {world.name}", found.gain)
    yield _at_most("a part unlike the rest where none is, 55 slices", equal.apart)
    everywhere = name_parts(WORSE, runs=SLOW_RUNS, seed=SEED + 16)
    beside = f"unlike the rest {everywhere.apart}"
    yield _at_least(f"“B loses on” some part, B {WORSE.name}", everywhere.loss, 0.95, beside)
    one = name_parts(ONE_WORSE, runs=SLOW_RUNS, seed=SEED + 17)
    yield _at_least(f"“B loses on” that part, B {ONE_WORSE.name}", one.planted, 0.9)


def _attribution() -> Iterator[Line]:
    found = attribute(seed=SEED + 11)
    ledger, naive = found.ledger, found.naive
    yield Line(
        f"arms of means {MEAN_A} and {MEAN_B}, 80/20: means found",
        f"{found.ledger_a.mean:.3f} and {found.ledger_b.mean:.3f}",
        f"feedback to a random arm {found.naive_a.mean:.3f} and {found.naive_b.mean:.3f}",
        "",
        f"within the interval of {MEAN_B - MEAN_A:.1f}",
        ledger.low < MEAN_B - MEAN_A < ledger.high,
    )
    yield Line(
        "their difference",
        f"{ledger.estimate:+.3f} ({ledger.low:+.3f} to {ledger.high:+.3f})",
        f"{naive.estimate:+.3f} ({naive.low:+.3f} to {naive.high:+.3f})",
    )


PARTS = (
    *(_equal_arms, _long, _small_share, _planted, _pairs, _sources, _places, _guardrails),
    *(_routing, _drift, _counters, _slices, _attribution),
)
