"""The report and the words in it: self-contained, escaped, and nothing said that the numbers do not say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from app import theme
from services.verdict import figures, words
from services.verdict.bars import Axis, interval_bar, shared_axis
from services.verdict.curves import curve_svg
from services.verdict.model import Assessment, Cell, Check, Disagreement, Interval, Light, Mark, MetricRow, Slice
from services.verdict.report import render_report
from services.verdict.report_style import COLOR_A, COLOR_B, DARK_A, DARK_B, DARK_NEUTRAL, NEUTRAL, STYLE
from services.verdict.rule import Rule, Source
from tests.support.verdicts import EXAMPLES, START, distrust, fresh, keep, running, ship

VOID = {"meta"}
EVIL = "<img src=x onerror=alert(1)> & \"quoted\" 'too'"


class Reader(HTMLParser):
    """Checks that what is opened is closed, and collects text, tags and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_a_report_needs_nothing_but_itself(make: Callable[[], Assessment]):
    text = render_report(make())
    read = Reader(text)
    assert read.addresses == []
    assert not {"script", "link", "iframe", "img"} & set(read.tags)
    assert not re.search(r"@import|url\(", text)
    assert text.startswith("<!DOCTYPE html>")


def test_it_says_the_call_the_reason_the_rule_and_every_number():
    found = ship()
    text = Reader(render_report(found)).text
    assert "Ship B" in text
    assert words.reason(found) in text
    assert found.fired in text
    assert all(c.title in text and c.sentence in text for c in found.checks)
    assert all(row.label in text for row in found.table)
    assert found.paired and found.paired.interval
    assert figures.change(found.paired.interval.estimate, "") in text
    assert figures.bounds(found.paired.interval, "") in text
    assert "n 500" in text
    assert "4745" in text  # the row on which the arms differ most
    assert "alcohol 8.0 to 9.4" in text
    assert "B holds up" in text  # why the traffic was moved
    assert "Welch, valid for one look only" in text


def test_withheld_intervals_are_withheld_with_the_reason():
    found = distrust()
    text = Reader(render_report(found)).text
    assert text.count("withheld: One reward is 43 % of A's sum") == 2
    assert "Start a new test with the bounded reward" in text
    assert "<svg" not in render_report(found)


def test_what_people_typed_stays_text():
    found = ship()
    evil = replace(
        found,
        test=replace(found.test, who=EVIL, why=EVIL, model_a=EVIL, deployment=EVIL, ended_at=START, ended_why=EVIL),
        headline=EVIL,
        fired=EVIL,
        checks=(Check("enough", EVIL, Light.RED, EVIL, EVIL),),
        table=(MetricRow("x", EVIL, Source.PAIRED, Cell(1, 2), Cell(None, 0), None, True, note=EVIL),),
        disagreements=(Disagreement(1, 2, EVIL, [EVIL], None, None, 0.1),),
        slices=(Slice(EVIL, EVIL, 40, -0.1, -0.05, 0.01),),
        slices_note=EVIL,
        marks=(replace(found.marks[0], who=EVIL, what=EVIL, why=EVIL), *found.marks),
        paired=replace(found.paired, formula=EVIL, query=EVIL, withheld=EVIL),
        live=None,
    )
    text = render_report(evil)
    read = Reader(text)
    assert "img" not in read.tags
    assert read.text.count(EVIL) >= 15
    assert "<img" not in text


def test_a_test_without_evidence_makes_a_short_report():
    text = Reader(render_report(fresh())).text
    assert "Keep running" in text
    assert "difference over time" not in text


def test_the_colours_are_the_dashboards():
    assert (COLOR_A, COLOR_B, NEUTRAL) == (theme.BURGUNDY, theme.GOLD, theme.TOTAL_LIGHT)
    assert (*theme.DARK[:2], theme.TOTAL_DARK) == (DARK_A, DARK_B, DARK_NEUTRAL)
    assert f"--ground:{theme.BACKGROUND_DARK}" in STYLE


class TestWords:
    def test_shares_differ_by_points(self):
        assert figures.change(0.021, "share").replace("\u202f", " ") == "+2.1 points"
        assert figures.change(-0.01, "share").replace("\u202f", " ") == "−1 point"
        assert figures.value(0.021, "share").replace("\u202f", " ") == "2.1 %"

    def test_a_difference_has_its_sign_and_unit(self):
        assert figures.change(0.004, "") == "+0.004"
        assert figures.change(-1.3, "ms").replace("\u202f", " ") == "−1.3 ms"
        assert figures.change(0.0, "") == "0"
        assert figures.change(None, "") == figures.change(float("nan"), "") == "—"

    def test_bounds_name_the_unit_once(self):
        said = figures.bounds(Interval(0, -0.004, 0.011, 0.95), "share").replace("\u202f", " ")
        assert said == "−0.4 to +1.1 points"

    def test_the_call_is_not_said_twice(self):
        assert words.reason(ship()).startswith("B earns")
        assert words.reason(replace(ship(), headline="Something else.")) == "Something else."

    def test_arms_with_names_of_their_own_keep_them(self):
        assert words.arm_names(Rule()).both == ("A", "B")
        assert words.arm_names(running().test.rule).both == ("A (cautious)", "B (bold)")
        assert words.arm_names(Rule(champion="b", challenger="a")).both == ("A (b)", "B (a)")

    @pytest.mark.parametrize(
        ("low", "high", "higher_is_better", "limit", "said"),
        [
            (0.1, 0.3, True, None, "B is better"),
            (0.1, 0.3, False, None, "A is better"),
            (-0.1, 0.3, True, None, "no difference shown"),
            (0.1, 0.3, False, 0.05, "A is better, beyond the limit"),
            (-0.1, 0.3, False, 0.05, "no difference shown, the limit is in doubt"),
            (-0.1, 0.1, False, 0.05, "no difference shown, no harm seen, none ruled out"),
            (-0.1, 0.03, False, 0.05, "no difference shown, within the limit"),
        ],
    )
    def test_a_row_says_no_more_than_its_interval(self, low, high, higher_is_better, limit, said):
        interval = Interval((low + high) / 2, low, high, 0.95)
        row = MetricRow("m", "M", Source.LIVE, Cell(1, 9), Cell(1, 9), interval, higher_is_better, limit=limit)
        assert words.finding(row, words.ArmNames("A", "B")) == said

    def test_what_is_missing(self):
        live = running().live
        assert live is not None
        assert words.left(live).replace("\u202f", " ") == (
            "about 4,300 more rewards, about 1 h 6 min at the present rate"
        )
        assert words.left(replace(live, remaining_n=1_798_708, remaining_s=None)) == "about 1,800,000 more rewards"
        assert words.left(replace(live, remaining_n=7, remaining_s=None)) == "about 7 more rewards"
        assert words.left(replace(live, remaining_n=None)) == ""

    def test_lists(self):
        assert [words.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


class TestBars:
    def test_zero_is_always_on_the_axis(self):
        axis = Axis.over([3.0, 5.0])
        assert 0 < axis.place(0) < axis.place(3.0) < axis.place(5.0) < 100

    def test_nothing_to_show_still_makes_an_axis(self):
        assert Axis.over([]).place(0) == 50
        assert Axis.over([float("nan"), float("inf")]).place(0) == 50

    def test_what_is_beyond_the_axis_stays_at_its_edge(self):
        assert Axis(-1, 1).place(7) == 100
        assert Axis(-1, 1).place(-7) == 0

    def test_replay_and_live_share_an_axis(self):
        rows = [row for row in ship().table if row.key == "reward"]
        axis = shared_axis(rows)
        ends = [axis.place(x) for row in rows if row.difference for x in (row.difference.low, row.difference.high)]
        assert len(ends) == 4
        assert all(0 < end < 100 for end in ends)

    def test_a_bar_spans_its_interval(self):
        bar = interval_bar(Interval(0, -0.5, 0.5, 0.95), Axis(-1, 1), "#123456")
        assert "left:25.00%;width:max(3px,50.00%)" in bar
        assert "calc(50.00% - 6px)" in bar


class TestCurve:
    def test_it_is_an_svg_with_band_line_and_marks(self):
        live = ship().live
        assert live is not None
        picture = ElementTree.fromstring(curve_svg(live, COLOR_B, minimum=0.002, marks=ship().marks))
        kinds = [element.tag.rpartition("}")[2] for element in picture.iter()]
        assert kinds.count("polygon") == kinds.count("polyline") == 1
        titles = [e.text for e in picture.iter() if e.tag.endswith("title")]
        assert len(titles) == 2  # both changes
        assert "minimum effect 0.002" in "".join(picture.itertext())

    def test_every_point_is_inside_the_picture(self):
        paired = keep().paired
        assert paired is not None
        picture = ElementTree.fromstring(curve_svg(paired, COLOR_B))
        points = next(e.get("points", "") for e in picture.iter() if e.tag.endswith("polygon"))
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 640
            assert 0 <= y <= 240

    def test_a_single_look_is_said_instead_of_drawn(self):
        found = ship()
        assert found.live is not None
        only = replace(found.live, curve=found.live.curve[-1:])
        assert curve_svg(only, COLOR_B) == ""
        assert "One look so far, which is no curve yet" in Reader(render_report(replace(found, live=only))).text

    def test_the_ends_of_a_short_time_read_differently(self):
        live = ship().live
        assert live is not None
        last = live.curve[-1]
        short = (replace(last, at=last.at.replace(second=5)), replace(last, at=last.at.replace(second=45)))
        ticks = [
            e.text or "" for e in ElementTree.fromstring(curve_svg(replace(live, curve=short), COLOR_B)).iter()
            if (e.text or "").endswith("UTC")
        ]  # fmt: skip
        assert [tick[-7:] for tick in ticks] == [":05 UTC", ":45 UTC"]

    def test_changes_outside_the_curve_are_left_out(self):
        paired = ship().paired
        assert paired is not None
        late = Mark(START.replace(year=2030), "ann", "late", "")
        assert "late" not in curve_svg(paired, COLOR_B, marks=(late,))


def test_a_decision_that_was_undone_says_so():
    back = Mark(START, EVIL, "undo decision", "too early")
    found = ship()
    ended = replace(found, test=replace(found.test, ended_at=START, ended_why="promoted b"), undone=back)
    said = Reader(render_report(ended)).text
    assert "promoted b; undone 1 Mar 2026 12:00 UTC by" in said and "too early" in said
    assert "undone" not in Reader(render_report(found)).text


def test_predictions_are_as_short_as_on_the_page():
    long = Disagreement(4, 7, 6, [5.613284759], 6.44198273, 0.1, 0.2)
    said = Reader(render_report(replace(ship(), disagreements=(long,)))).text
    assert "5.613" in said and "5.6132" not in said


def test_the_levels_and_the_source_that_decides_are_said():
    said = Reader(render_report(ship())).text.replace("\u202f", " ")
    assert "98.3 % for slower than 100 ms (live traffic) and errors" in said
    assert "paired replay; live traffic is shown and can object" in said
    assert said.count("Always-valid interval, decides") == 1
    assert said.count("Always-valid interval, can object") == 1


def test_answers_and_rewards_of_rows_have_the_same_decimals():
    found = ship().disagreements
    assert figures.answers(found)[1] == ("5.92", "5.20")
    assert figures.rewards(found)[0] == ("0.1490", "0.2912")
    labels = (replace(found[0], prediction_a="good", prediction_b=[5.0]),)
    assert figures.answers(labels) == [("good", "5")]
