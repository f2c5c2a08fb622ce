"""The row of steps: words, times and marks; what comes from elsewhere is never markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.components.way_up import timeline_html
from services.domain import Startup, StartupStep, Step, StepState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def html(*steps: StartupStep) -> str:
    return timeline_html(Startup("b", steps), NOW)


def test_what_is_over_says_how_long_it_took_and_what_is_under_way_since_when() -> None:
    shown = html(
        StartupStep(Step.DOWNLOAD, StepState.DONE, NOW, 83.0),
        StartupStep(Step.ENVIRONMENT, StepState.RUNNING, NOW - timedelta(seconds=42)),
        StartupStep(Step.LOAD, StepState.WAITING),
    )
    assert "1\u202fmin" in shown
    assert "for 42" in shown
    assert 'title="environment: under way"' in shown
    assert 'title="load: not yet"' in shown


def test_a_moment_is_not_worth_a_number() -> None:
    assert html(StartupStep(Step.READY, StepState.DONE, NOW, 0.2)) == html(StartupStep(Step.READY, StepState.DONE))


def test_a_note_is_shown_as_text() -> None:
    shown = html(StartupStep(Step.LOAD, StepState.FAILED, note="<b>restarted</b> 4 times"))
    assert "&lt;b&gt;restarted&lt;/b&gt; 4 times" in shown
    assert "load: failed" in shown
