"""A bad filter is explained: what is wrong, and what a good one looks like."""

from __future__ import annotations

import pytest

from services.tracking.filters import EXAMPLE, explain_filter, explain_order


@pytest.mark.parametrize(
    ("text", "complaint", "said"),
    [
        (
            "rmse < 1",
            "Invalid attribute key 'rmse' specified. Valid keys are ...",
            "write metrics.rmse, params.rmse or",
        ),
        ("a.b = 'x'", "Invalid entity type 'a'. Valid values are ['metric']", "“a” is unknown"),
        ("params.a < '1'", "Invalid comparator '<' not one of '{'='}'", "< does not work on text"),
        (
            "params.a = 0.5",
            "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 0.5",
            "quotes: '0.5'",
        ),
        (
            "attributes.status = FINISHED",
            "Parameter value is either not quoted or unidentified quote types used for string value FINISHED. "
            "Use either single or double quotes.",
            "quotes: 'FINISHED'",
        ),
        ("metrics.a < 'x'", "Expected numeric value type for metric. Found 'x'", "a number is needed"),
        ("metrics.a < 1 or b", "Invalid clause(s) in filter string: 'or'", "AND but not OR"),
        ("metrics.a <", "Invalid clause(s) in filter string: 'metrics.a', '<'", "not a comparison: 'metrics.a', '<'"),
        ("?", "Something new.", "something new"),
    ],
)
def test_a_filter_is_explained(text: str, complaint: str, said: str) -> None:
    error = explain_filter(text, complaint)
    assert f"“{text}”" in error.sentence
    assert said in error.sentence
    assert EXAMPLE in error.hint


def test_an_order_is_explained() -> None:
    assert "write metrics.rmse" in explain_order("rmse", "Invalid attribute key 'rmse' specified.").sentence
    assert "metrics.rmse ASC" in explain_order("x y", "Invalid order_by clause 'x y'. Could not be parsed.").hint
