"""The words of the error boundary. What it draws is tested on the pages."""

from __future__ import annotations

import pytest

from app.guard import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("a*b* [x](http)", "a\\*b\\* \\[x\\](http)"),
        ("<script>", "\\<script\\>"),
        ("$x$ :red[y]", "\\$x\\$ \\:red\\[y\\]"),
        ("one\ntwo", "one  \ntwo"),
        ("Start it with `make run_all`, then *wait*", "Start it with `make run_all`, then \\*wait\\*"),
        ("a lone ` here_", "a lone \\` here\\_"),
        ("`a` and ` b", "`a` and \\` b"),
    ],
)
def test_text_from_elsewhere_stays_text(text, shown):
    assert escape(text) == shown
