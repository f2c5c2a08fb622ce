"""What an assessment says, as frozen values: pages, the command line and the report draw these and compute nothing.

A difference is always B minus A. Every number travels with its n; an interval holds at every look together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.verdict.rule import ABTest, LiveFrom, Source


class Call(StrEnum):
    """The four verdicts."""

    SHIP = "Ship B"
    KEEP = "Keep A"
    RUNNING = "Keep running"
    DISTRUST = "Do not trust yet"


class Light(StrEnum):
    """Of a check: red forbids a decision, amber asks to look, grey cannot be told yet."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    GREY = "grey"


@dataclass(frozen=True, slots=True)
class Check:
    """One item of the trust strip. `sentence` says what is the case; `advice` what to do (empty when green)."""

    key: str  # attribution, split, enough, reward, feedback, environment; beginning if it is lost
    title: str
    light: Light
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """An always-valid interval for a difference B - A, at confidence `level`; `p` is always-valid too."""

    estimate: float
    low: float
    high: float
    level: float
    p: float | None = None

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Cell:
    """The value of one arm with its n; None where there is none."""

    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One line of the table. `unit` is "", "ms" or "share".

    `primary` marks the metric of the rule, `decides` its line of a source that may name the winner.
    `better` is "b", "a" or "" (not known yet): set only if the interval excludes 0. `limit` is the guardrail's largest
    allowed difference, None for other metrics; `in_doubt`: that this row cannot show that the limit is kept, as `note`
    says. `difference` is None where no interval can be given; `note` says why.
    """

    key: str
    label: str
    source: Source
    a: Cell
    b: Cell
    difference: Interval | None
    higher_is_better: bool
    unit: str = ""
    primary: bool = False
    decides: bool = False
    limit: float | None = None
    note: str = ""
    in_doubt: bool = False

    @property
    def measure(self) -> str:
        """What is measured, the same for all rows of it that can be compared: `reward` for `reward-unseen` too."""
        return self.key.partition("-")[0]

    @property
    def better(self) -> str:
        if self.difference is None or not self.difference.excludes_zero:
            return ""
        return "b" if (self.difference.estimate > 0) == self.higher_is_better else "a"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The interval as it stood after `n` pairs (paired) or feedbacks (live), at time `at`."""

    n: int
    at: datetime
    interval: Interval


@dataclass(frozen=True, slots=True)
class Strand:
    """The evidence of one source for the primary metric.

    Attributes:
        n: pairs, or feedbacks of both arms.
        n_a, n_b: rewards per arm.
        mean_a, mean_b: their means; over several splits these are not to be compared, the interval's estimate is.
        interval: None below the gates or under a tail flag; `withheld` then says why.
        curve: the interval over time, oldest first; empty while it is withheld.
        welch: the classical 95 % interval at this look, for those who expect it; not valid for repeated looks.
        adjusted_for: traffic changes that the estimate is adjusted for.
        remaining_n, remaining_s: pairs or feedbacks, and seconds at the present rate, until a decision is likely.
        detectable: the smallest true difference that would be seen by now in 80 % of such tests; None without interval.
        agreement: share of pairs on which both arms answered the same; None for live traffic.
        formula: which estimator, in words a statistician knows.
        query: the PromQL or the words for the ledger's query behind it.
        read_from: of live traffic, whether counters or ledger speak; None for pairs.
    """

    source: Source
    n: int
    n_a: int
    n_b: int
    interval: Interval | None
    withheld: str = ""
    mean_a: float | None = None
    mean_b: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    welch: Interval | None = None
    adjusted_for: int = 0
    remaining_n: int | None = None
    remaining_s: float | None = None
    detectable: float | None = None
    agreement: float | None = None
    formula: str = ""
    query: str = ""
    read_from: LiveFrom | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row on which the arms differ most. `features` is the row as JSON text when the data is still there."""

    replay: int
    row: int
    truth: object
    prediction_a: object
    prediction_b: object
    reward_a: float | None
    reward_b: float | None


class Side(StrEnum):
    """What a part of the rows shows, with false discoveries controlled: for A, for B, or neither."""

    LOSS = "loss"
    GAIN = "gain"
    NEITHER = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows worth naming, after shrinkage and control of false discoveries.

    `label` reads like `alcohol 9.4 to 10.4`. `side` says whether B loses or gains there; `q` is the false-discovery
    rate at which that is named. `apart`: whether it stands out from the rest of the rows, at the rate `q_apart`.
    """

    label: str
    feature: str
    n: int
    difference: float
    shrunk: float
    q: float
    side: Side = Side.NEITHER
    apart: bool = False
    q_apart: float = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something somebody changed while the test ran."""

    at: datetime
    who: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything the Verdict page, the report and a decision rest on. `as_of` is when it was made.

    `headline` is one sentence with the call first; `fired` the rule that led to it, in words.
    `beside` is what the place says from which the rule does not read live traffic, where the one it does read from has
    no interval: for information, it names no winner and cannot object.
    `undone` is how the decision on the test was taken back, None if it stands or there was none.
    `decidable` is False when a check is red: a decision then needs an explicit override; `blockers` says why.
    """

    test: ABTest
    as_of: datetime
    call: Call
    headline: str
    fired: str
    checks: tuple[Check, ...]
    paired: Strand | None
    live: Strand | None
    table: tuple[MetricRow, ...]
    disagreements: tuple[Disagreement, ...] = ()
    slices: tuple[Slice, ...] = ()
    slices_note: str = ""
    marks: tuple[Mark, ...] = ()
    undone: Mark | None = None
    beside: Strand | None = None

    @property
    def deciding(self) -> Strand | None:
        """The strand by which the rule decides; where either may, one that excludes 0, else one with an interval."""
        may = [s for s in (self.paired, self.live) if s is not None and self.test.rule.decided_by(s.source)]
        known = [s for s in may if s.interval is not None]
        clear = [s for s in known if s.interval is not None and s.interval.excludes_zero]
        return next(iter(clear or known or may), None)

    @property
    def blockers(self) -> tuple[str, ...]:
        return tuple(check.sentence for check in self.checks if check.light is Light.RED)

    @property
    def decidable(self) -> bool:
        return not self.blockers
