"""The live part of the Monitor page: asks everything at once, then draws it in fixed places so that nothing jumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import streamlit as st

from app import format as fmt
from app.components import charts
from app.components.history import draw_history
from app.components.metrics_check import draw_check, draw_warning
from app.components.observed import split_since
from app.components.tiles import draw_tiles
from app.components.totals import draw_totals
from app.guard import boundary, show_error
from app.parallel import Answers, ask
from app.state import Window
from services.domain import Deployment
from services.evidence.store import EvidenceStore
from services.metrics.model import Chart
from services.metrics.prometheus import MetricsReader
from services.metrics.symptoms import Symptom

MAX_MARKS = 50


@dataclass(frozen=True, slots=True)
class View:
    """What the person looks at. `arms` is None when the engine could not say; `symptoms` checks their metrics.

    `arms` is as old as the page; `now` asks for what is deployed by now.
    """

    namespace: str
    name: str
    arms: Deployment | None
    window: Window
    quantiles: tuple[float, ...]
    zone: tzinfo
    symptoms: Callable[[Deployment], Sequence[Symptom]]
    now: Callable[[], Deployment]


def draw_live(view: View, metrics: MetricsReader, store: EvidenceStore) -> None:
    """Tiles, charts, totals and the history of the window that ends now."""
    now = datetime.now(UTC)
    start, end = view.window.bounds(now)
    answers = ask(_questions(view, metrics, store, start, end))
    marks, arms = answers.get("changes", []), answers.get("arms", view.arms)
    down = answers.error("tiles")
    if down is not None:
        show_error(down)
    else:
        draw_warning(answers.get("symptoms") or [])
        with boundary("The tiles"):
            draw_tiles(answers["tiles"])
        predictors = [p.name for p in arms.predictors] if arms else _seen(answers)
        since = answers.get("last") if _all_empty(answers) else None
        for row in ((Chart.RPS, Chart.REWARD), (Chart.LATENCY, Chart.ERRORS)):
            for column, kind in zip(st.columns(2, gap="medium"), row, strict=True):
                with column, boundary(charts.TITLES[kind]):
                    charts.draw(
                        answers[kind],
                        predictors,
                        marks,
                        view.zone,
                        since,
                        _counted(answers, kind),
                        key=f"{view.namespace}-{view.name}",
                    )
        st.markdown(f"**Per predictor** &nbsp; :gray[last {view.window.label}]")
        with boundary("The totals"):
            draw_totals(answers["totals"], arms, split_changed=split_since(marks, None) is not None)
    st.markdown(f"**Changes** &nbsp; :gray[last {view.window.label}]")
    with boundary("The history"):
        draw_history(answers["changes"], view.zone, "Nobody changed anything in this window.")
    if down is None and view.arms:
        with boundary("The check of the metrics"):
            draw_check(answers["symptoms"])
    st.caption(f"Read at {fmt.clock(now, view.zone, now)} ({view.zone})")


def _questions(
    view: View, metrics: MetricsReader, store: EvidenceStore, start: datetime, end: datetime
) -> dict[str, Callable[[], Any]]:
    where = (view.namespace, view.name)

    def chart(kind: Chart) -> Callable[[], Any]:
        return lambda: metrics.chart(kind, *where, start, end, quantiles=view.quantiles)

    return {
        "tiles": lambda: metrics.tiles(*where, view.window.seconds, end),
        "totals": lambda: metrics.totals(*where, start, end),
        "last": lambda: metrics.last_sample(*where),
        "arms": view.now,
        "changes": lambda: store.changes(*where, since=start, limit=MAX_MARKS),
        "symptoms": lambda: view.symptoms(view.arms) if view.arms else (),
        **{kind: chart(kind) for kind in Chart},
    }


def _counted(answers: Answers, kind: Chart) -> int:
    """What the whole counters of the window say of that chart, whether or not it could be drawn."""
    totals = answers.get("totals") or []
    return sum({Chart.REWARD: t.feedback, Chart.ERRORS: t.errors}.get(kind, t.requests) for t in totals)


def _all_empty(answers: Answers) -> bool:
    found = answers.get(Chart.RPS)
    return found is not None and found.empty


def _seen(answers: Answers) -> Sequence[str]:
    """Predictors by name, when only the metrics know them."""
    found = answers.get(Chart.RPS)
    return sorted({s.predictor for s in found.series if s.predictor}) if found else []
