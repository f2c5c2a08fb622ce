"""An assessment's numbers in words, the same on the page, in the report and on the command line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.domain.text import count, duration, latency, number, short_arms
from services.verdict.figures import bounds, change, level, middle, p_value
from services.verdict.model import Assessment, Call, Interval, Light, MetricRow, Side, Slice, Strand
from services.verdict.rule import Decides, LiveFrom, Rule, Source

CALL_MARKS = {Call.SHIP: "↑", Call.KEEP: "=", Call.RUNNING: "⋯", Call.DISTRUST: "!"}
"""A mark per call, so that nobody needs to see colours."""

LIGHT_MARKS = {Light.GREEN: "✓", Light.AMBER: "!", Light.RED: "✕", Light.GREY: "?"}
LIGHT_WORDS = {Light.GREEN: "fine", Light.AMBER: "look at it", Light.RED: "forbids a decision", Light.GREY: "not known"}

SOURCES = {Source.PAIRED: "paired replay", Source.LIVE: "live traffic"}
UNITS = {Source.PAIRED: "rows", Source.LIVE: "rewards"}
DECIDES = {
    Decides.PAIRED: SOURCES[Source.PAIRED],
    Decides.LIVE: SOURCES[Source.LIVE],
    Decides.EITHER: "either source, each at half of alpha",
}
OBJECTS = {
    Decides.PAIRED: "; live traffic is shown and can object",
    Decides.LIVE: "; a paired replay is shown and can object",
    Decides.EITHER: "",
}
PLACES = {LiveFrom.COUNTERS: "arms’ counters", LiveFrom.LEDGER: "ledger"}
SEES = {LiveFrom.COUNTERS: "the feedback of every client", LiveFrom.LEDGER: "what Decant itself sent"}


@dataclass(frozen=True, slots=True)
class ArmNames:
    """What a person calls the two arms: `A` and `B`, or with names of their own `A (cautious)`."""

    a: str
    b: str

    @property
    def both(self) -> tuple[str, str]:
        return self.a, self.b


def arm_names(rule: Rule) -> ArmNames:
    short = short_arms((rule.champion, rule.challenger))
    shown = [
        letter if short[name].upper() == letter else f"{letter} ({short[name]})"
        for letter, name in zip("AB", (rule.champion, rule.challenger), strict=True)
    ]
    return ArmNames(*shown)


def reason(assessment: Assessment) -> str:
    """The headline without the call that it begins with, for where the call stands beside it in large letters."""
    said = assessment.headline.removeprefix(assessment.call.value).lstrip(" :.,;–—-")
    return said[:1].upper() + said[1:] if said else assessment.headline


def one_look(strand: Strand) -> str:
    """A curve of a single look, which is a number and no curve."""
    found = strand.curve[-1].interval
    return (
        f"One look so far, which is no curve yet: after {count(strand.curve[-1].n)} {UNITS[strand.source]}, B − A is "
        f"{middle(found, '')}, {level(found.level)} always-valid interval {bounds(found, '')}."
    )


def finding(row: MetricRow, names: ArmNames) -> str:
    """What the row's interval says, in a few words; the colour says the same again."""
    if row.difference is None:
        said = row.note or "no interval yet"
        return f"the limit is in doubt: {said}" if row.limit is not None else said
    better = f"{names.b if row.better == 'b' else names.a} is better" if row.better else "no difference shown"
    if row.limit is None:
        return f"{better}; {row.note}" if row.note else better
    said = f"{better}, {_within(row.difference, row.limit)}"
    return f"{said}; {row.note}" if row.note else said


def _within(found: Interval, limit: float) -> str:
    """How a guardrail stands. An interval of some hundred rows is often wider than its limit: no harm was seen then,
    which is less than to know that there is none."""
    if found.low > limit:
        return "beyond the limit"
    if found.high <= limit:
        return "within the limit"
    return "the limit is in doubt" if found.estimate > limit else "no harm seen, none ruled out"


MOST_NAMED = 3
"""Parts of the rows that a sentence names; what stands below it shows all."""


def where_b_loses(slices: Sequence[Slice], overall: Interval | None) -> str:
    """The answer to that question, no more than the evidence carries; labels as they are."""
    losses = sorted((s for s in slices if s.side is Side.LOSS), key=lambda s: (not s.apart, s.shrunk))
    behind = overall is not None and overall.high < 0
    if behind and slices and not any(s.apart for s in slices):
        return "B loses on all rows alike: no part stands out from the rest."
    if losses:
        labels = [s.label for s in losses[:MOST_NAMED]]
        more = len(losses) - len(labels)
        return f"B loses on {listed([*labels, f'{more} more'] if more else labels)}."
    return "B loses on all rows together; on no part by itself beyond chance." if behind else "Nowhere beyond chance."


def slice_seen(found: Slice) -> str:
    """What a part shows beside its number: `n 96 rows, q 0.004; unlike the rest (q 0.01)`."""
    shown = {Side.LOSS: f"q {p_value(found.q)}", Side.GAIN: f"q {p_value(found.q)}", Side.NEITHER: "neither shown"}
    apart = f"; unlike the rest, q {p_value(found.q_apart)}" if found.apart else ""
    return f"n {count(found.n)} rows, {shown[found.side]}{apart}"


def amount(strand: Strand) -> str:
    """How much a strand rests on: `1,225 rows`."""
    return f"{count(strand.n)} {UNITS[strand.source]}"


def beside(assessment: Assessment) -> str:
    """What the place shows from which the rule does not read live traffic; "" where there is nothing to say."""
    other = assessment.beside
    if other is None or other.interval is None or other.read_from is None:
        return ""
    return (
        f"For information only, as this test does not read live traffic there: by the {PLACES[other.read_from]} "
        f"({amount(other)}), B − A is {middle(other.interval, '')}, always-valid interval "
        f"{bounds(other.interval, '')}. It names no winner."
    )


def left(strand: Strand) -> str:
    """How much is missing: `about 1,200 more rows, about 4 min at the present rate`; empty when it is not known."""
    if not strand.remaining_n:
        return ""
    said = f"{about(strand.remaining_n)} more {UNITS[strand.source]}"
    return f"{said}, about {duration(strand.remaining_s)} at the present rate" if strand.remaining_s else said


def about(n: int) -> str:
    """`about 1,200`: two figures, which is as much as a forecast is good for."""
    return f"about {count(round(n, 2 - len(str(n))) if n >= 100 else n)}"


def visible(strand: Strand) -> str:
    """How small a difference this much evidence shows; empty while that is not known."""
    if not strand.detectable:
        return ""
    return f"A true difference of {number(strand.detectable)} would be seen by now in 80 % of such tests."


def adjusted(strand: Strand) -> str:
    """`one traffic change`, `2 traffic changes`."""
    return "one traffic change" if strand.adjusted_for == 1 else f"{strand.adjusted_for} traffic changes"


def levels(table: Iterable[MetricRow]) -> str:
    """Which metrics' intervals have which level: `95 % for mean reward and RMSE, 98.3 % for failed predictions`."""
    rows = [(_plain(row.label), row.source, level(row.difference.level)) for row in table if row.difference is not None]
    kinds: dict[str, dict[str, None]] = {}
    for name, source, at in rows:
        apart = len({other for same, _, other in rows if same == name}) > 1
        kinds.setdefault(at, {})[f"{name} ({SOURCES[source]})" if apart else name] = None
    if len(kinds) == 1:
        return f"{next(iter(kinds))} for each"
    return ", ".join(f"{at} for {listed(named)}" for at, named in kinds.items())


def _plain(label: str) -> str:
    """A label inside a sentence: without a capital, unless it is an abbreviation, and without what it is split by."""
    name = label.partition(",")[0]
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def rule_facts(rule: Rule) -> list[tuple[str, str]]:
    """The rule as (name, what it says), in the order in which a person asks."""
    rails = rule.guardrails
    minimum = number(rule.minimum_effect, 4) if rule.minimum_effect else "none: any difference counts"
    return [
        ("Metric", "mean reward, B − A"),
        ("Decided by", DECIDES[rule.decides] + OBJECTS[rule.decides]),
        ("Live traffic", f"read from the {PLACES[rule.live_source]}: {SEES[rule.live_source]}"),
        ("Reward", f"{rule.reward.label}, that is {rule.reward.formula} for truth y and prediction f"),
        ("Alpha", f"{rule.alpha:g}: the chance of ever naming a difference that is not there"),
        ("Minimum effect", minimum),
        ("Planned", f"{count(rule.planned_pairs)} rows of paired replay, {count(rule.planned_live)} live rewards"),
        (
            "Guardrails",
            f"errors at most {change(rails.error_increase, 'share')}; "
            f"slower than {latency(rails.slow_ms)} at most {change(rails.slow_increase, 'share')}",
        ),
    ]


def listed(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last
