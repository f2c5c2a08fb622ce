"""The pure parts of the Verdict page: what is drawn as HTML, the figures, the sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest

from app import theme
from app.components.verdict_chart import difference_figure
from app.components.verdict_evidence import footnote, summary
from app.components.verdict_line import line_html, rule_line
from app.components.verdict_paired import disagreement_table
from app.components.verdict_slices import slices_html, split_slices
from app.components.verdict_start import test_label as label_of
from app.components.verdict_table import level_note, table_html
from app.components.verdict_trust import strip_html
from app.components.verdict_why import strand_table, window_line
from services.verdict import figures, words
from services.verdict.answer_rows import JUDGED_LIVE
from services.verdict.model import Assessment, Interval, Light, Side, Slice, Strand
from services.verdict.report_style import DARK_LIGHTS, LIGHTS
from services.verdict.rule import Decides, Rule, Source
from tests.support.verdicts import DISAGREEMENTS, EXAMPLES, START, distrust, keep, running, ship, unread

COLORS = {"a": "#aaaaaa", "b": "#bbbbbb", "": "#000000"}


def contrast(one: str, two: str) -> float:
    """WCAG 2's contrast ratio of two colours #RRGGBB."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def live_of(assessment: Assessment) -> Strand:
    assert assessment.live is not None
    return assessment.live


def paired_of(assessment: Assessment) -> Strand:
    assert assessment.paired is not None
    return assessment.paired


def test_the_lights_can_be_read_on_both_themes():
    assert all(contrast(c, theme.BACKGROUND_LIGHT) >= 4.5 for c in LIGHTS.values())
    assert all(contrast(c, theme.BACKGROUND_DARK) >= 4.5 for c in DARK_LIGHTS.values())


@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_the_line_shows_the_call_with_its_mark(make):
    found = make()
    said = line_html(found, "#123456")
    assert f">{found.call.value}<" in said
    assert f">{words.CALL_MARKS[found.call]}<" in said


def test_marks_tell_calls_and_lights_apart_without_colour():
    assert len(set(words.CALL_MARKS.values())) == len(words.CALL_MARKS) == 4
    assert len(set(words.LIGHT_MARKS.values())) == len(words.LIGHT_MARKS) == 4


def test_the_rule_is_shown_with_who_fixed_it_and_why():
    said = rule_line(distrust(), UTC)
    assert "Rule of test 3" in said
    assert "alpha 0.05" in said
    assert "\\<b\\>eve" in said  # as text
    assert "a & b \\<script\\>" in said
    over = replace(distrust(), test=replace(ship().test, ended_at=START, ended_why="decided"))
    assert "ended 1 Mar 2026 12:00 UTC: decided" in rule_line(over, UTC).replace("\\:", ":")
    assert "fixed 1 Mar 2026 13:00 CET by" in rule_line(over, ZoneInfo("Europe/Berlin")).replace("\\:", ":")


def test_the_drawer_ends_a_formula_with_one_full_stop_and_says_the_zone_of_its_window():
    found = ship()
    for strand in (found.paired, found.live):
        assert strand is not None
        said = window_line(found, replace(strand, formula="Mean of the differences."), UTC)
        assert "Window: 1 Mar 2026 12:00 UTC to 1 Mar 2026 17:00 UTC." in said and ".." not in said


def test_a_card_has_its_light_in_words_and_its_advice():
    said = strip_html(distrust().checks, lambda light: COLORS["a"] if light is Light.RED else COLORS["b"])
    assert said.count('class="dv-card"') == 6
    assert said.count('aria-label="forbids a decision"') == 1
    assert said.count("#aaaaaa") == 1
    assert "Start a new test with the bounded reward" in said


class TestTable:
    def test_only_an_interval_without_0_has_an_arms_colour(self):
        said = table_html(ship(), COLORS)
        paired, live = said.split("live traffic")[:2]
        assert "#bbbbbb" in paired  # reward on the replay: B
        assert "no difference shown" in live
        reward_live = said.split("paired replay")[1]  # up to the next metric: the live reward
        assert "#bbbbbb" in paired
        assert "#000000" in reward_live

    def test_less_is_better_for_errors(self):
        said = table_html(keep(), COLORS)
        rmse = said[said.index("RMSE") :]
        assert "A is better" in rmse
        assert "#aaaaaa" in rmse

    def test_every_value_names_its_arm_for_where_columns_are_stacked(self):
        found = ship()
        said = table_html(found, COLORS)
        arms = words.arm_names(found.test.rule)
        assert said.count(f'data-arm="{arms.a}"') == said.count(f'data-arm="{arms.b}"') == len(found.table)

    def test_every_value_has_its_n(self):
        found = ship()
        said = table_html(found, COLORS)
        assert said.count("<small>n ") == 2 * len(found.table)
        assert "n 4,968" in said

    def test_a_limit_is_a_dashed_line(self):
        assert table_html(ship(), COLORS).count("2px dashed") == 2

    def test_the_minimum_effect_belongs_to_the_primary_metric(self):
        assert table_html(keep(), COLORS).count("2px dashed") == 1

    def test_the_rows_of_a_metric_stand_together(self):
        found = ship()
        mixed = replace(found, table=tuple(sorted(found.table, key=lambda row: row.source)))
        said = table_html(mixed, COLORS)
        assert said.count("dv-first") == len({row.key for row in found.table})
        assert said.index("live traffic") < said.index("RMSE")

    def test_levels_in_words(self):
        found = ship()
        note = level_note(found).replace("\u202f", " ")
        assert note == (
            ": 95 % for mean reward, RMSE, MAE and slower than 100 ms (paired replay), 98.3 % for slower than 100 ms "
            "(live traffic) and errors (failures and slowness are guardrails, which share alpha 0.05)"
        )
        assert words.levels(found.table[:1]).replace("\u202f", " ") == "95 % for each"
        either = replace(found, test=replace(found.test, rule=Rule(decides=Decides.EITHER)))
        assert "two sources" in level_note(either) and "two sources" not in note
        assert level_note(replace(found, table=())) == ""

    def test_rewards_of_some_rows_share_the_axis_of_all(self):
        found = ship()
        unseen = replace(found.table[0], key="reward-unseen", label="Mean reward, rows not trained on", decides=False)
        said = table_html(replace(found, table=(*found.table, unseen)), COLORS)
        assert said.index("rows not trained on") < said.index("RMSE")
        assert said.count("dv-first") == len({row.measure for row in found.table})
        assert unseen.measure == "reward"

    def test_the_line_that_decides_says_so(self):
        found = ship()
        said = table_html(found, COLORS)
        assert said.count(", decides") == 1
        assert said.index(", decides") < said.index("live traffic")

    def test_slowness_of_a_replay_says_where_it_is_judged(self):
        row = next(row for row in ship().table if row.key == "slow")
        of_replay = replace(row, source=Source.PAIRED, limit=None, note=JUDGED_LIVE)
        assert words.finding(of_replay, words.arm_names(Rule())).endswith("; its limit is judged on live traffic")

    def test_arms_have_the_deployments_names(self):
        said = table_html(running(), COLORS)
        assert "A (cautious)" in said
        assert "B (bold)" in said


class TestRule:
    def test_the_line_says_where_live_traffic_is_read(self):
        assert "live traffic read from the arms’ counters" in rule_line(unread(), UTC)

    def test_the_other_place_is_in_words_and_in_no_row_of_the_table(self):
        assert "by the ledger (4,000 rewards)" in words.beside(unread())
        assert words.beside(ship()) == ""
        assert "B is better" not in table_html(unread(), COLORS).split("p95")[0]


class TestFigure:
    @pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
    def test_plotly_accepts_it(self, make):
        found = make()
        for strand in (found.paired, found.live):
            if strand is not None:
                go.Figure(difference_figure(found, strand, UTC))

    def test_the_band_is_the_confidence_sequence(self):
        strand = paired_of(ship())
        high, low, line, *_ = difference_figure(ship(), strand, UTC)["data"]
        assert high["y"] == [p.interval.high for p in strand.curve]
        assert low["y"] == [p.interval.low for p in strand.curve]
        assert low["fill"] == "tonexty"
        assert line["y"] == [p.interval.estimate for p in strand.curve]
        assert line["x"] == [p.n for p in strand.curve]

    def test_the_last_interval_fits_the_axis(self):
        for found in (ship(), keep(), running()):
            for strand in (found.paired, found.live):
                if strand is None or strand.interval is None:
                    continue
                bottom, top = difference_figure(found, strand, UTC)["layout"]["yaxis"]["range"]
                assert bottom < min(0, strand.interval.low)
                assert top > max(0, strand.interval.high)

    def test_live_evidence_is_drawn_in_the_persons_time(self):
        figure = difference_figure(running(), live_of(running()), ZoneInfo("Europe/Berlin"))
        assert figure["data"][2]["x"][0].startswith("2026-03-01 13:")

    def test_the_minimum_effect_is_a_line(self):
        names = {trace.get("name"): trace for trace in difference_figure(keep(), paired_of(keep()), UTC)["data"]}
        assert names["minimum effect 0.002"]["y"] == [0.002, 0.002]
        names = {trace.get("name") for trace in difference_figure(ship(), paired_of(ship()), UTC)["data"]}
        assert not any("minimum" in str(name) for name in names)

    def test_changes_are_marked_with_who_and_why(self):
        found = ship()
        marks = difference_figure(found, live_of(found), UTC)["data"][-1]
        assert marks["name"] == "change"
        assert any("B holds up" in text for text in marks["text"])
        evil = replace(found.marks[0], who="<b>eve", at=START + timedelta(minutes=30))
        text = difference_figure(replace(found, marks=(evil,)), live_of(found), UTC)["data"][-1]["text"][0]
        assert text.startswith("&lt;b&gt;eve")

    def test_on_the_axis_of_a_replay_a_change_stands_at_its_row(self):
        found = ship()
        strand = paired_of(found)
        middle = strand.curve[30]
        mark = replace(found.marks[0], at=middle.at)
        drawn = difference_figure(replace(found, marks=(mark,)), strand, UTC)["data"][-1]
        assert drawn["x"][0] == middle.n

    def test_a_single_look_is_a_number_in_words(self):
        live = live_of(running())
        only = replace(live, curve=live.curve[-1:])
        said = words.one_look(only).replace("\u202f", " ")
        assert said.startswith("One look so far, which is no curve yet: after 1,240 rewards, B − A is ")
        assert figures.bounds(only.curve[0].interval, "") in said and "95 % always-valid interval" in said

    def test_withheld_it_says_why_instead(self):
        found = distrust()
        figure = difference_figure(found, paired_of(found), UTC)
        assert figure["data"] == []
        assert "43 % of A's sum" in figure["layout"]["annotations"][0]["text"].replace("<br>", " ")


class TestSentences:
    def test_a_strand_in_a_line(self):
        assert summary(None) == "nothing yet"
        assert summary(paired_of(distrust())) == "n 800 rows"
        assert summary(paired_of(ship())).endswith("n 500 rows")

    def test_below_the_curve(self):
        said = footnote(live_of(running()))
        assert "Adjusted for 2 traffic changes." in said
        assert "The interval holds 0." in said
        assert "about 4,300 more rewards" in said
        assert "excludes 0" in footnote(paired_of(ship()))

    def test_losses_answer_the_question_and_gains_are_told_apart(self):
        weak = Slice("age 3 to 4", "age", 60, -0.001, -0.001, 0.3, apart=True, q_apart=0.02)
        losses, gains, apart = split_slices((weak, *ship().slices))
        assert [s.label for s in losses] == ["alcohol 8.0 to 9.4"]
        assert [s.label for s in gains] == ["pH 3.3 to 3.8"]
        assert [s.label for s in apart] == ["age 3 to 4"], "unlike the rest is not a loss"
        assert words.where_b_loses((weak, *ship().slices), None) == "B loses on alcohol 8.0 to 9.4."
        assert words.where_b_loses((weak,), None) == "Nowhere beyond chance."
        assert "unlike the rest, q 0.002" in words.slice_seen(losses[0]) and "neither shown" in words.slice_seen(weak)

    def test_where_b_loses_everywhere_alike_that_is_said(self):
        behind = Interval(-0.02, -0.03, -0.01, 0.95)
        part = Slice("age 3 to 4", "age", 60, -0.02, -0.02, 0.01, Side.LOSS)
        assert words.where_b_loses((part,), behind) == "B loses on all rows alike: no part stands out from the rest."
        assert "on all rows together" in words.where_b_loses((), behind)
        assert words.where_b_loses((replace(part, apart=True),), behind) == "B loses on age 3 to 4."

    def test_a_long_list_of_slices_is_cut(self):
        many = [Slice(f"x <{i}>", "x", 60, -0.02, -0.01, 0.02, Side.LOSS) for i in range(5)]
        assert words.where_b_loses(many, None) == "B loses on x <0>, x <1>, x <2> and 2 more."

    def test_bars_of_slices(self):
        gain = (Slice("kind <b>", "kind", 40, 0.2, 0.1, 0.01),)
        drawn = slices_html((*ship().slices, *gain), 0.004, ("#aaaaaa", "#bbbbbb"))
        assert drawn.index("alcohol") < drawn.index("pH") < drawn.index("kind &lt;b&gt;")
        assert drawn.count("#aaaaaa") == 1
        assert drawn.count("#bbbbbb") == 2
        assert drawn.count("dashed") == 3

    def test_disagreements_as_a_table(self):
        table = disagreement_table(DISAGREEMENTS, words.ArmNames("A", "B"))
        assert table["Row"] == [4745, 17, 2210, 981]
        assert table["A said"][0] == "5.61"
        assert table["B − A"][0] == figures.change(DISAGREEMENTS[0].reward_b - DISAGREEMENTS[0].reward_a, "")

    @pytest.mark.parametrize(
        ("value", "said"), [([[5.25]], "5.25"), (True, "True"), ("red", "red"), (None, "—"), ([1, 2], "[1, 2]")]
    )
    def test_any_answer_can_be_shown(self, value, said):
        assert figures.shown(value) == said

    def test_welch_stands_beside_what_decides(self):
        strand = paired_of(ship())
        table = strand_table(strand, decides=True)
        first, second = table["always-valid, decides"], table["Welch, at this look only"]
        assert first[0] == second[0]  # the same estimate
        assert first[1:3] != second[1:3]
        assert first[-1] == "A 500, B 500"
        assert strand_table(paired_of(distrust()), decides=False)["always-valid"][:5] == ["—"] * 5

    def test_tests_have_a_name_with_their_time(self):
        test = ship().test
        assert label_of(test, UTC) == "Test 3, running since 1 Mar 12:00"
        assert label_of(replace(test, ended_at=START), UTC) == "Test 3, ended 1 Mar 12:00"


def test_both_sources_have_a_unit_and_a_name():
    assert set(words.SOURCES) == set(words.UNITS) == set(Source)
