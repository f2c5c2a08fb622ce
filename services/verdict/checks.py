"""The trust strip: six questions whose answers say whether the numbers below them mean anything. Pure.

A seventh, whether Prometheus still holds all of the test, is asked only where it does not, or soon will not.

A red light forbids a decision, so it is given only to what makes a comparison wrong, not to what makes it incomplete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.domain.text import count, number, percent
from services.metrics.retention import LET_UP_THROUGH, UNTOLD, Kept, going, lost, to_raise
from services.stats import gates
from services.stats.difference import Difference
from services.stats.srm import AMBER, RED, SrmResult
from services.traffic.rewards import Reward
from services.verdict.model import Check, Light
from services.verdict.rule import Decides, LiveFrom, Rule

LOST_SHARE = 0.01
"""More rewards than this share of those sent, missing from the arms' counters, are worth a look."""

FEEDBACK_GAP = 0.02
"""Arms whose shares of answered-with-feedback differ by more than this, for certain, are not comparable."""

MOST_OF_THEM = 0.5
"""Where fewer requests than this share earn a reward that comes back, those that do may be unlike the others."""


@dataclass(frozen=True, slots=True)
class Booked:
    """Rewards of one arm: how many, and their sum."""

    n: int
    total: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a model was logged with. `columns` are (name, type) of its inputs, None without a signature."""

    label: str
    python: str
    requirements: tuple[str, ...]
    columns: tuple[tuple[str, str], ...] | None


MIXED = "A replay to one arm that is older than this version of Decant has put its rewards into the counters too"
MIXED_ADVICE = "Start a new test to have it checked: replays to one arm send no feedback any more."


NO_OBJECTION = "Live traffic gives no interval any more and cannot object"
SHRINKS = (
    "What is left shrinks at its front while you look, so an interval over it would be wrong more often than promised."
)

NO_FEEDBACK = "The Open Inference Protocol has no feedback, so the arms' counters hold no rewards"


def attribution(
    sent: Sequence[Booked],
    counted: Sequence[Booked] | None,
    *,
    mixed: bool = False,
    feeds: bool = True,
    unfit: str = "",
) -> Check:
    """Whether each reward is booked at the arm that earned it; both sequences hold A and B.

    Args:
        sent: rewards in the ledger that went through the split, booked by request id.
        counted: what the arms' own counters say; None when they cannot be read.
        mixed: whether the counters hold rewards of rows that an old replay sent past the split.
        feeds: whether the deployment's protocol has feedback.
        unfit: why the counters cannot speak for the rewards of this test, in sentences.
    """
    key, title = "attribution", "Rewards at the right arm"
    if not feeds:
        words = f"{NO_FEEDBACK}; the ledger books every reward by the request that earned it."
        return Check(key, title, Light.GREY, words)
    if mixed:
        words = f"{MIXED}, so that ledger and counters cannot be compared."
        return Check(key, title, Light.GREY, words, MIXED_ADVICE)
    total = sum(b.n for b in sent)
    if unfit:
        words = f"The ledger books every reward by the request that earned it. {unfit}"
        return Check(key, title, Light.GREY, words)
    if counted is None:
        words = "The arms' counters cannot be read now; the ledger books every reward by the request that earned it."
        return Check(key, title, Light.GREY, words, "See whether Prometheus runs.")
    if not total:
        if not sum(b.n for b in counted):
            words = "No reward has gone through the split yet; replays to both arms book theirs by row."
            return Check(key, title, Light.GREY, words)
        words = (
            f"{count(sum(b.n for b in counted))} rewards came from other clients, each counted at the arm that its "
            "response names."
        )
        return Check(key, title, Light.GREEN, words)
    missing = [max(0, s.n - c.n) for s, c in zip(sent, counted, strict=True)]
    surplus = [max(0, c.n - s.n) for s, c in zip(sent, counted, strict=True)]
    pairs = ", ".join(f"{arm} {count(s.n)}" for arm, s in zip("AB", sent, strict=True))
    if sum(missing) > LOST_SHARE * total and sum(surplus) > LOST_SHARE * total:
        words = (
            f"The ledger has {pairs} rewards, but the counters "
            f"{', '.join(f'{arm} {count(c.n)}' for arm, c in zip('AB', counted, strict=True))}: "
            "rewards have moved from one arm to the other."
        )
        return Check(key, title, Light.RED, words, "Send the whole response back with each feedback.")
    if sum(missing) > LOST_SHARE * total:
        words = f"{count(sum(missing))} of the {count(total)} rewards sent are not in the arms' counters."
        return Check(key, title, Light.AMBER, words, "They may be on their way, or an arm was killed before a scrape.")
    others = f"; {count(sum(surplus))} more came from other clients" if sum(surplus) > LOST_SHARE * total else ""
    few = sum(missing) + (0 if others else sum(surplus))
    but = f", but for {count(few)}, as kills and scrapes leave them" if few else ""
    return Check(key, title, Light.GREEN, f"Ledger and counters agree on {pairs} rewards{but}{others}.")


def split(result: SrmResult | None, changes: int, *, decides: bool = True, forgotten: str = "") -> Check:
    """Whether the traffic is divided as it was asked for: a sample-ratio mismatch makes comparisons of it suspect.

    `decides`: whether live traffic may name the winner. Pairs are not divided by the split, so where they alone decide
    a mismatch is worth knowing, and no reason to distrust them. `forgotten`: why what is left of the counters has no
    fixed beginning, in a sentence; a test over it would be one of many.
    """
    key, title = "split", "Split as configured"
    if forgotten:
        return Check(key, title, Light.GREY, f"The split cannot be checked any more. {forgotten}")
    if result is None:
        words = "The counters of the split cannot be read now."
        return Check(key, title, Light.GREY, words, "See whether Prometheus runs.")
    if not result.n:
        words = "No request through the split was counted in this test."
        return Check(key, title, Light.GREY, words)
    share, wanted = result.observed_b / result.n, result.expected_b / result.n
    words = f"B got {percent(share, 2)} of {count(result.n)} requests where {percent(wanted, 2)} were asked for"
    words += f", over {changes + 1} splits" if changes else ""
    advice = "Look for clients that pin an arm, retries, or an arm that was down; then start a new test."
    if result.p < RED and decides:
        return Check(key, title, Light.RED, f"{words}: no accident (p {_p(result.p)}).", advice)
    if result.p < RED:
        words += f": no accident (p {_p(result.p)}). The paired replay, which decides, is not touched by it."
        return Check(key, title, Light.AMBER, words, advice.partition(";")[0] + ".")
    if result.p < AMBER:
        return Check(key, title, Light.AMBER, f"{words}: rare by chance (p {_p(result.p)}).", advice)
    return Check(key, title, Light.GREEN, f"{words}, as chance allows (p {_p(result.p)}).")


def beginning(kept: Kept | None, rule: Rule, *, running: bool) -> Check | None:
    """Whether the counters go back to the beginning of the test; None where they do, and will for long enough.

    Where live traffic read from them names the winner, forgetting is a reason to distrust: what is left begins anew at
    every look, so its interval would not hold at all looks together. Where pairs may name it too they are as sound as
    ever: theirs is the other half of alpha. A beginning that was never there is only less evidence.
    """
    key, title = "beginning", "Counted from the start"
    reads = rule.live_source is LiveFrom.COUNTERS
    if kept is not None and kept.untold and reads:
        return Check(key, title, Light.AMBER, UNTOLD, LET_UP_THROUGH)
    if kept is None or (kept.whole and not (reads and running and kept.soon)):
        return None
    if kept.whole:
        return Check(key, title, Light.AMBER, going(kept), f"{to_raise(kept)} before then, or decide by then.")
    if not reads:
        split_is = "The split cannot be checked any more" if kept.forgotten else "The split is checked from then on"
        return Check(key, title, Light.AMBER, f"{lost(kept)} {split_is}; rewards are read from the ledger.")
    if rule.decides is Decides.PAIRED:
        live = NO_OBJECTION if kept.forgotten else "Live traffic counts from then on"
        return Check(key, title, Light.AMBER, f"{lost(kept)} {live}; the paired replay, which decides, is whole.")
    if running:
        instead = "or one that reads live traffic from the ledger, or decides by pairs"
        advice = f"{to_raise(kept)} and begin a new test; {instead}."
    else:
        advice = "The report of a decision on it has what was known then."
    if kept.forgotten and rule.decides is Decides.EITHER:
        words = f"{lost(kept)} {NO_OBJECTION}; the paired replay is whole, and decides alone now."
        return Check(key, title, Light.AMBER, words)
    if kept.forgotten:
        return Check(key, title, Light.RED, f"{lost(kept)} {SHRINKS}", advice)
    return Check(key, title, Light.AMBER, f"{lost(kept)} Live traffic counts from then on.", advice)


def enough(passed: Sequence[str], missing: Sequence[str], *, decides: bool = True) -> Check:
    """Whether a source that decides has the data that its interval needs.

    Args:
        passed: sources that have, in words (“paired replay, 1,225 rows”).
        missing: what those that have not still lack, in words.
        decides: whether one of those that have may name the winner.
    """
    key, title = "enough", "Enough data"
    if passed and decides:
        return Check(key, title, Light.GREEN, f"Enough for an interval: {'; '.join(passed)}.")
    if missing:
        return Check(key, title, Light.AMBER, f"Collecting: {'; '.join(missing)}.", "Let the test run, or replay more.")
    advice = "Replay labelled rows to both arms on the Traffic page; it needs the fewest requests."
    return Check(key, title, Light.AMBER, "There is no reward in this test yet.", advice)


def reward(used: Reward, tails: Sequence[str], rewards: int, alien: str = "", *, decides: bool = True) -> Check:
    """Whether the average of this reward means anything.

    Args:
        tails: what the flags found, in words.
        alien: why the counters hold rewards that cannot be of this kind; red where live traffic `decides`.
    """
    key, title = "reward", "Reward well-behaved"
    advice = "Use a bounded reward, such as 1/(1 + error²), in a new test."
    if tails:
        return Check(key, title, Light.RED, tails[0].removesuffix(gates.ADVICE).strip(), advice)
    if used.warning:
        words = f"“{used.label}” has no mean: its average says how much traffic an arm got, not how good it is."
        return Check(key, title, Light.RED, words, advice)
    if alien:
        words = f"The arms’ counters hold {alien} “{used.label}” cannot be that."
        mend = "Find the client that sends another reward and stop it, then begin a new test: counters are not undone."
        return Check(key, title, Light.RED if decides else Light.AMBER, words, mend)
    if not rewards:
        return Check(key, title, Light.GREY, "No reward has been seen yet.")
    return Check(key, title, Light.GREEN, f"No single request dominates: {count(rewards)} rewards of “{used.label}”.")


def feedback(
    gap: Difference | None,
    rates: tuple[float, float] | None,
    *,
    mixed: bool = False,
    feeds: bool = True,
    unfit: str = "",
) -> Check:
    """Whether rewards come back, and as often for both arms: those that are missing may be the bad ones.

    Args:
        gap: B's share of requests with feedback minus A's, with its interval; None below the gates.
        rates: the two shares.
        mixed, feeds, unfit: as in `attribution`.
    """
    key, title = "feedback", "Feedback complete"
    if not feeds:
        return Check(key, title, Light.GREY, f"{NO_FEEDBACK}; the ledger has a reward for every row with a truth.")
    if mixed:
        return Check(key, title, Light.GREY, f"{MIXED}, which would hide what is missing.", MIXED_ADVICE)
    if unfit:
        return Check(key, title, Light.GREY, f"Not to be told from the counters. {unfit}")
    if gap is None or rates is None:
        return Check(key, title, Light.GREY, "Too few requests through the split to compare.")
    words = f"Rewards came back for {percent(rates[0])} of A's requests and {percent(rates[1])} of B's"
    advice = "Find out whose rewards are missing; late truths can be attached on the Traffic page."
    if gap.low > FEEDBACK_GAP or gap.high < -FEEDBACK_GAP:
        return Check(key, title, Light.RED, f"{words}: what is missing may be what matters.", advice)
    if gap.low > 0 or gap.high < 0:
        return Check(key, title, Light.AMBER, f"{words}: a small but certain difference.", advice)
    if min(rates) < MOST_OF_THEM:
        return Check(key, title, Light.AMBER, f"{words}: of most, nobody knows what they earned.", advice)
    return Check(key, title, Light.GREEN, f"{words}.")


def environment(a: Surroundings | None, b: Surroundings | None, why_not: str = "") -> Check:
    """Whether the two models were logged with the same inputs and libraries, so that only the model differs."""
    key, title = "environment", "Same environment"
    if a is None or b is None:
        words = f"The models' descriptions cannot be read{f' ({why_not})' if why_not else ''}."
        return Check(key, title, Light.GREY, words, "See whether MLflow runs.")
    if a.columns is None or b.columns is None:
        return Check(key, title, Light.AMBER, "A model has no signature to compare.", "Log it with infer_signature.")
    if a.columns != b.columns:
        only = sorted({name for name, _ in a.columns} ^ {name for name, _ in b.columns})
        words = f"The models want different columns: {', '.join(only)}." if only else "Their column types differ."
        return Check(key, title, Light.AMBER, words, "Replay data that both can read, or the arms see different rows.")
    different = sorted(set(a.requirements) ^ set(b.requirements))
    if a.python != b.python:
        different.insert(0, f"Python {a.python} and {b.python}")
    if different:
        words = f"Same columns, but different libraries: {', '.join(different[:4])}."
        return Check(key, title, Light.AMBER, words, "Latency may differ for that reason; rewards hardly.")
    return Check(key, title, Light.GREEN, f"Same {len(a.columns)} columns, same libraries, Python {a.python}.")


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {number(p, 2)}"
