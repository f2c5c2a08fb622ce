"""The pure parts of the Traffic page: typed fields, column checks, comparison of answers, code to copy."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime

import plotly.graph_objects as go
import pytest

from app import theme
from app.components.answers import difference, ledger_only, value_of
from app.components.replay_preview import arm_text, figure
from app.components.replay_progress import describe, in_words, progress_text, table
from app.components.request_fields import format_of, missing, read_json, step_of
from app.components.reward_picker import read_truth
from app.components.snippets import by_gateway, seldon_client_text
from app.components.way_note import notes
from services.domain import V2, Deployment, Endpoint, Prediction, Predictor
from services.errors import InvalidPayload, Rejected
from services.jobs.replay_values import Replay
from services.jobs.states import JobState
from services.schema import Column, ColumnType, Signature
from services.traffic.preview import Preview, summarise
from services.traffic.replay import ArmCounters, ReplayMode, ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from services.trials import Answer

WINE = Deployment("seldon", "wine", (Predictor("a", "u", 80), Predictor("b", "u", 20)))
SIGNATURE = Signature(
    columns=(
        Column("alcohol", ColumnType.DOUBLE),
        Column("year", ColumnType.LONG),
        Column("colour", ColumnType.STRING),
        Column("note", ColumnType.STRING, required=False),
    )
)


class TestFields:
    @pytest.mark.parametrize(
        ("value", "step", "shown"),
        [(8.8, 0.1, "%.1f"), (0.045, 0.001, "%.3f"), (170.0, 10, "%.0f"), (None, 0.1, "%.1f")],
    )
    def test_steps_fit_the_size_of_the_value(self, value, step, shown):
        assert step_of(value) == pytest.approx(step)
        assert format_of(value) == shown

    def test_no_digit_of_the_example_is_hidden(self):
        assert format_of(0.99391) == "%.5f"

    def test_required_and_empty(self):
        assert missing([None, 2020, "red", None], SIGNATURE) == ["alcohol"]

    def test_json_typed_by_hand(self):
        assert read_json("tags", '["a"]') == ["a"]
        assert read_json("tags", " ") is None
        with pytest.raises(InvalidPayload, match="tags: is not JSON"):
            read_json("tags", "[a]")

    @pytest.mark.parametrize(
        ("text", "truth"), [("", None), ("6", 6), ("6.5", 6.5), ("true", True), ("red", "red"), ("[1]", "[1]")]
    )
    def test_truth_typed_by_hand(self, text: str, truth: object):
        assert read_truth(text) == truth


def answer(arm: str, value: object) -> Answer:
    endpoint = Endpoint("http://h/seldon/seldon/wine", (("x-decant-predictor", arm),))
    return Answer(arm, endpoint, {}, {}, Prediction("p", arm, (value,), 3.0))


class TestDifference:
    def test_numbers(self):
        assert difference([answer("a", 5.0), answer("b", [5.5])], WINE) == "Difference B − A: **+0.5** (+10 %)"
        assert difference([answer("a", [[0.0]]), answer("b", -1)], WINE) == "Difference B − A: **−1**"

    def test_labels(self):
        assert difference([answer("a", "red"), answer("b", "white")], WINE) == "A and B answered differently."
        assert "the same" in difference([answer("a", True), answer("b", True)], WINE)

    def test_one_answer_or_an_error_has_none(self):
        assert difference([answer("a", 1.0)], WINE) == ""
        failed = replace(answer("b", 1.0), prediction=None, error=Rejected("The gateway", 400, "no"))
        assert difference([answer("a", 1.0), failed], WINE) == ""
        assert value_of(failed) is None


@pytest.mark.parametrize("row", [[7.0, 0.27], [7.0, "it's red"]])
def test_the_seldon_client_program_is_python(row: list[object]):
    request = {"data": {"names": ["x", "y"], "ndarray": [row]}}
    endpoint = Endpoint("http://127.0.0.1:8003/seldon/seldon/wine", (("x-decant-predictor", "a"),))
    text = seldon_client_text("seldon", "wine", endpoint, request)
    ast.parse(text)
    assert 'gateway_endpoint="127.0.0.1:8003"' in text
    assert "{'x-decant-predictor': 'a'}" in text
    assert ("np.array" in text) == all(isinstance(v, float) for v in row)


SPEC = ReplaySpec("seldon", "wine", "wine-quality", "quality", Reward(RewardKind.BOUNDED))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPLAY = Replay(1, SPEC, "d", JobState.RUNNING, 250, 1000, (), 50.0, "", (), "ann", NOW, NOW, NOW)


class TestReplayInALine:
    @pytest.mark.parametrize(
        ("spec", "line"),
        [
            (SPEC, "wine-quality, 1,000 rows, through the split, bounded reward"),
            (
                replace(SPEC, mode=ReplayMode.PAIRED, arms=("a", "b"), passes=2),
                "wine-quality, 1,000 rows in 2 passes, in pairs to a and b, bounded reward",
            ),
            (
                replace(SPEC, mode=ReplayMode.PINNED, predictor="b", dataset="/up/0123456789ab.csv"),
                "upload 01234567, 1,000 rows, all to b, bounded reward",
            ),
            (
                replace(SPEC, dataset="/up/0123.csv", label="my.csv", reward=Reward(RewardKind.SQUARED)),
                "my.csv, 1,000 rows, through the split, negative squared error reward",
            ),
            (
                replace(SPEC, reward=Reward(RewardKind.FORMULA, expression="y * y_pred")),
                "wine-quality, 1,000 rows, through the split, formula reward",
            ),
        ],
    )
    def test_what_goes_where(self, spec: ReplaySpec, line: str) -> None:
        assert describe(replace(REPLAY, spec=spec)) == line

    def test_how_far(self) -> None:
        running = progress_text(REPLAY)
        assert running.startswith("250 of 1,000 rows · 50 rows/s · 15")
        assert progress_text(replace(REPLAY, state=JobState.PAUSED)) == "250 of 1,000 rows · paused"
        assert "waiting" in progress_text(replace(REPLAY, state=JobState.QUEUED))


class TestPreview:
    SEEN = Preview((0, 1, 2), (1.0, 2.0, 3.0), {"a": (1.0, 2.5, None), "b": (0.0, 0.0, 0.0)}, {"a": "busy"})

    def test_an_arm_in_a_line(self) -> None:
        text = arm_text(summarise(self.SEEN, SPEC.reward).arms[0])
        assert text.startswith("mean reward **0.9** · sd 0.141 · n 2")
        assert "1 row earned nothing:] busy" in text

    def test_rows_without_a_truth_are_not_called_failed(self) -> None:
        seen = Preview((0, 1, 2, 3), (1.0, None, 3.0, None), {"a": (1.0, 2.5, 3.5, None)}, {"a": "busy"})
        summary = summarise(seen, SPEC.reward)
        (arm,) = summary.arms
        assert (arm.sums.n, arm.answered, arm.without_truth, arm.failed) == (2, 3, 1, 1)
        assert "1 row has no truth and would earn nothing." in arm_text(arm)
        assert summary.scale == pytest.approx(0.354), "of the rows that have both"

    def test_both_arms_in_the_same_bins_and_in_their_colours(self) -> None:
        drawn = figure(summarise(self.SEEN, SPEC.reward), WINE)
        go.Figure(drawn)  # Plotly accepts every property
        first, second = drawn["data"]
        assert first["x"] == second["x"]
        assert sum(first["y"][:-1]) == 2 and sum(second["y"][:-1]) == 3
        assert [t["line"]["color"] for t in drawn["data"]] == [theme.arm_color(i, dark=False) for i in (0, 1)]
        assert [t["meta"]["dark"] for t in drawn["data"]] == [theme.arm_color(i, dark=True) for i in (0, 1)]

    def test_a_heavy_tail_is_drawn_on_a_logarithmic_axis(self) -> None:
        truths = tuple(float(n) for n in range(1, 60))
        seen = Preview(tuple(range(59)), truths, {"a": (0.99, *(0.0 for _ in truths[1:])), "b": (0.0,) * 59}, {})
        drawn = figure(summarise(seen, Reward(RewardKind.TUTORIAL)), WINE)
        go.Figure(drawn)
        axis = drawn["layout"]["xaxis"]
        assert axis["type"] == "log" and axis["range"][1] == pytest.approx(4)
        assert sum(drawn["data"][0]["y"][:-1]) == 59


class TestTable:
    def test_means_of_one_reward_have_the_same_decimals(self) -> None:
        arms = [ArmCounters("a", 10, reward_sum=total, reward_n=10) for total in (7.1, 7.096)]
        replays = [replace(REPLAY, arms=(arm,)) for arm in arms]
        heavy = replace(REPLAY.spec, reward=Reward(RewardKind.TUTORIAL))
        replays.append(replace(REPLAY, spec=heavy, arms=(ArmCounters("a", 10, reward_sum=123_456.0, reward_n=10),)))
        shown = in_words(table(replays, WINE), replays).to_html()
        assert "0.7100" in shown and "0.7096" in shown and "12,346<" in shown


class TestWayNote:
    def test_a_gateway_needs_no_word(self) -> None:
        assert notes(Endpoint("http://h/seldon/seldon/wine")) == []

    def test_drawn_arms_and_v2_are_said(self) -> None:
        said = notes(Endpoint("", protocol=V2, drawn=True, note="Decant draws the arm."))
        assert said[0] == "Decant draws the arm." and "V2, which has no feedback" in said[1]

    def test_seldons_client_is_offered_where_it_can_send(self) -> None:
        assert by_gateway(Endpoint("http://h/seldon/seldon/wine"))
        assert not by_gateway(Endpoint("http://wine-b.seldon:8000", predictor="b"))
        assert not by_gateway(Endpoint("http://h/seldon/seldon/wine", protocol=V2, model="a-model"))

    def test_a_reward_that_stays_says_why(self) -> None:
        kept = Answer(None, Endpoint("http://h", protocol=V2, model="m"), {}, reward=1.0)
        assert ledger_only(kept) == "Not sent as feedback: V2 has none."
        assert "can be negative" in ledger_only(Answer(None, Endpoint("http://h"), {}, reward=-1.0))
        assert "the split divides" in ledger_only(Answer("a", Endpoint("http://h"), {}, reward=1.0))
