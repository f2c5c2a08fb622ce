"""The report: one assessment as one HTML file, to be mailed, printed, or kept beside the model it speaks of.

It needs nothing but itself: no script, no font, no picture from elsewhere. Everything that people typed is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import zip_longest

from services.domain.text import count, moment, percent
from services.verdict import figures, words
from services.verdict.bars import by_metric, interval_bar, shared_axis
from services.verdict.curves import curve_svg
from services.verdict.model import Assessment, Call, Cell, Interval, Light, MetricRow, Slice, Strand
from services.verdict.report_style import STYLE, var
from services.verdict.rule import Source

TITLES = {Source.PAIRED: "Paired replay", Source.LIVE: "Live traffic"}
BETTER = {"a": var("a"), "b": var("b"), "": var("neutral")}
CALLS = {
    Call.SHIP: var("b"),
    Call.KEEP: var("a"),
    Call.RUNNING: var(Light.GREY),
    Call.DISTRUST: var(Light.RED),
}

NO_BREAK = "\u00a0"


def render_report(assessment: Assessment) -> str:
    """The whole file. Times are UTC, since nobody knows where it will be read."""
    test = assessment.test
    title = f"{assessment.call.value}: {test.deployment}, test {test.id}"
    strands = [s for s in (assessment.paired, assessment.live) if s is not None]
    parts = [
        _verdict(assessment),
        _section("The rule, fixed before the test began", _rule(assessment)),
        _section("Can the evidence be trusted?", _checks(assessment)),
        _section("A and B", _metrics(assessment)),
        *(_section(f"{TITLES[s.source]}: difference over time", _strand(assessment, s)) for s in strands),
        _section("Rows on which the predictions are furthest apart", _disagreements(assessment)),
        _section("Where B does better or worse", _slices(assessment)),
        _section("What was changed while the test ran", _marks(assessment)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{STYLE}</head><body><main>{''.join(parts)}"
        f"<footer>Written by Decant, {_at(assessment.as_of)}. A difference is always B − A. An always-valid interval "
        "misses the true difference at any look with at most the stated chance, however often somebody looks.</footer>"
        "</main></body></html>\n"
    )


def _verdict(assessment: Assessment) -> str:
    test = assessment.test
    state = "running" if test.running else f"ended {_at(test.ended_at)}: {test.ended_why or 'no reason given'}"
    if back := assessment.undone:
        state += f"; undone {_at(back.at)} by {back.who}" + (f": {back.why}" if back.why else "")
    return (
        f'<header style="border-color:{CALLS[assessment.call]}">'
        f"<p class=quiet>{escape(test.namespace)}/{escape(test.deployment)}, test {test.id}, {escape(state)}</p>"
        f"<h1>{words.CALL_MARKS[assessment.call]} {escape(assessment.call.value)}</h1>"
        f"<p class=why>{escape(words.reason(assessment))}</p><p class=quiet>{escape(assessment.fired)}</p></header>"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def _rule(assessment: Assessment) -> str:
    test = assessment.test
    names = words.arm_names(test.rule)
    facts = [
        (f"{names.a}, in charge", test.model_a),
        (f"{names.b}, the challenger", test.model_b),
        *words.rule_facts(test.rule),
        ("Fixed", f"{_at(test.started_at)} by {test.who}" + (f": {test.why}" if test.why else "")),
        *(("Read as", said) for said in test.read_as),
    ]
    return _table((), [[escape(name), escape(said)] for name, said in facts], kind="facts")


def _checks(assessment: Assessment) -> str:
    rows = [
        [
            f'<b style="color:{var(c.light)}">{words.LIGHT_MARKS[c.light]} {escape(words.LIGHT_WORDS[c.light])}</b>',
            f"<b>{escape(c.title)}</b>",
            escape(c.sentence) + (f" <b>{escape(c.advice)}</b>" if c.advice else ""),
        ]
        for c in assessment.checks
    ]
    return _table((), rows, kind="checks")


def _metrics(assessment: Assessment) -> str:
    names = words.arm_names(assessment.test.rule)
    body: list[list[str]] = []
    for rows in by_metric(assessment.table):
        minimum = assessment.test.rule.minimum_effect if rows[0].primary else 0.0
        axis = shared_axis(rows, [minimum])
        for row in rows:
            bar = ""
            if row.difference is not None:
                line = row.limit if row.limit is not None else minimum or None
                bar = interval_bar(row.difference, axis, BETTER[row.better], line=line)
            cells = (_cell(said, of) for said, of in zip(figures.measured(row), (row.a, row.b), strict=True))
            body.append([_name(row), *cells, _difference(row, names), bar])
    head = ("Metric", *(escape(name) for name in names.both), "B − A, interval", "")
    if not body:
        return ""
    said = words.levels(assessment.table)
    note = f"<p class=quiet>Intervals hold at every look together: {said}. Rows of one metric share an axis.</p>"
    return _table(head, body, kind="metrics") + (note if said else "")


def _name(row: MetricRow) -> str:
    better = "higher" if row.higher_is_better else "lower"
    tail = ", decides" if row.decides else ""
    return f"<b>{escape(row.label)}</b><small>{words.SOURCES[row.source]}; {better} is better{tail}</small>"


def _cell(said: str, cell: Cell) -> str:
    return f"{said}<small>n {count(cell.n)}</small>"


def _difference(row: MetricRow, names: words.ArmNames) -> str:
    said = escape(words.finding(row, names))
    if row.difference is None:
        return f"<small>{said}</small>"
    limit = f"; limit {figures.change(row.limit, row.unit)}" if row.limit is not None else ""
    return (
        f"<b>{figures.middle(row.difference, row.unit)}</b>"
        f"<small>{figures.bounds(row.difference, row.unit)}</small><small>{said}{limit}</small>"
    )


def _strand(assessment: Assessment, strand: Strand) -> str:
    rule = assessment.test.rule
    facts = [("n", f"{words.amount(strand)} (A {count(strand.n_a)}, B {count(strand.n_b)})")]
    if strand.interval is None:
        facts.append(("Interval", f"withheld: {strand.withheld or 'not enough data'}"))
    else:
        role = "decides" if rule.decided_by(strand.source) else "can object"
        facts.append((f"Always-valid interval, {role}", _interval(strand.interval)))
    if strand.welch is not None:
        facts.append(("Welch, valid for one look only", _interval(strand.welch)))
    if strand.agreement is not None:
        facts.append(("Same answer of both arms", percent(strand.agreement)))
    if strand.adjusted_for:
        facts.append(("Adjusted for", words.adjusted(strand)))
    if missing := words.left(strand):
        facts.append(("Until a decision is likely", missing))
    if seen := words.visible(strand):
        facts.append(("Power", seen))
    facts += [
        ("Estimator", strand.formula),
        ("Window", f"{_at(assessment.test.started_at)} to {_at(assessment.as_of)}"),
    ]
    if strand.source is Source.LIVE and (other := words.beside(assessment)):
        facts.append(("Beside it", other))
    picture = curve_svg(strand, var("b"), minimum=rule.minimum_effect, marks=assessment.marks)
    if len(strand.curve) == 1:
        picture = f"<p>{escape(words.one_look(strand))}</p>"
    query = f"<pre>{escape(strand.query)}</pre>" if strand.query else ""
    return picture + _table((), [[escape(name), escape(said)] for name, said in facts], kind="facts") + query


def _interval(interval: Interval) -> str:
    p = ", " + f"p {figures.p_value(interval.p)}".replace(" ", NO_BREAK) if interval.p is not None else ""
    return f"{figures.middle(interval, '')}, {figures.bounds(interval, '')} at {figures.level(interval.level)}{p}"


def _disagreements(assessment: Assessment) -> str:
    names = words.arm_names(assessment.test.rule)
    found = assessment.disagreements
    head = ["Replay", "Row", "Truth", *(f"{escape(n)} said" for n in names.both)]
    head += [f"Reward {escape(n)}" for n in names.both]
    body = [
        [
            str(d.replay),
            str(d.row),
            *(escape(said) for said in (figures.shown(d.truth), *answers, *rewards)),
        ]
        for d, answers, rewards in zip(found, figures.answers(found), figures.rewards(found), strict=True)
    ]
    return _wide(_table(head, body)) if body else ""


def _slices(assessment: Assessment) -> str:
    if assessment.paired is None:
        return ""
    note = f"<p class=quiet>{escape(assessment.slices_note)}</p>" if assessment.slices_note else ""
    answer = f"<p>{escape(words.where_b_loses(assessment.slices, assessment.paired.interval))}</p>"
    if not assessment.slices:
        return note
    ordered = sorted(assessment.slices, key=lambda s: s.shrunk)
    moved = figures.changes([x for s in ordered for x in (s.difference, s.shrunk)])
    body = [[escape(s.label), count(s.n), moved[2 * i], moved[2 * i + 1], _found(s)] for i, s in enumerate(ordered)]
    return answer + _wide(_table(("Rows with", "n", "B − A", "after shrinkage", "found"), body)) + note


def _found(one: Slice) -> str:
    """What a part of the rows shows: `loss, q 0.004; unlike the rest, q 0.01`."""
    side = f"{one.side}, q {figures.p_value(one.q)}" if one.side else "neither loss nor gain shown"
    return escape(f"{side}; unlike the rest, q {figures.p_value(one.q_apart)}" if one.apart else side)


def _marks(assessment: Assessment) -> str:
    body = [[_at(m.at), escape(m.who), escape(m.what), escape(m.why)] for m in assessment.marks]
    return _table(("When", "Who", "What", "Why"), body, kind="marks") if body else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML already. A cell knows its column's title, for where the columns are stacked."""
    titles = [f' data-of="{cell}"' for cell in head] if kind == "metrics" else []
    top = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>" if head else ""
    body = "".join(
        f"<tr>{''.join(f'<td{of}>{cell}</td>' for cell, of in zip_longest(row, titles, fillvalue=''))}</tr>"
        for row in rows
    )
    return f'<table class="{kind}">{top}<tbody>{body}</tbody></table>'


def _wide(table: str) -> str:
    """A table whose columns stay beside each other; where there is no room it scrolls by itself."""
    return f"<div class=wide>{table}</div>"


def _at(at: datetime | None) -> str:
    return moment(at, UTC)
