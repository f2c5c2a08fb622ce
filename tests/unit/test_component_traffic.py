"""The pure parts of the Traffic page: typed fields, column checks, comparison of answers, code to copy."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from app.components.answers import difference, value_of
from app.components.request_fields import format_of, missing, read_json, step_of
from app.components.reward_picker import read_truth
from app.components.snippets import seldon_client_text
from services.domain import Deployment, Endpoint, Prediction, Predictor
from services.errors import InvalidPayload, Rejected
from services.schema import Column, ColumnType, Signature
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
