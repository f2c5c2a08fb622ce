"""What the Overview page shows: everything deployed, asked for at once, and how far the guided test has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import state
from app.components.deployment_card import draw_card
from app.components.guide import Progress, challenger, draw_guide
from app.components.health import draw_health
from app.components.verdict_badge import latest
from app.guard import boundary
from app.links import page_link
from app.parallel import Answers, ask
from app.state import Param
from services.domain import Change, DeploymentStatus
from services.jobs.states import JobState

if TYPE_CHECKING:
    from services.factory import Services

RECENT_CHANGES = 200
RECENT_RUNS = 50
TUTORIAL_MODELS = ({"alpha": "0.5", "l1_ratio": "0.5"}, {"alpha": "0.75", "l1_ratio": "0.2"})
TRAFFIC_WINDOW_S = 24 * 3600


def draw_landscape(built: Services) -> bool:
    """Health, then the guide if it is on, then a card per deployment.

    Returns whether it is certain that nothing is deployed (not so when the engine does not answer).
    """
    answers = ask(_questions(built, guided=bool(state.read(state.Param.GUIDE))))
    with boundary("The health check"):
        draw_health(answers["health"])
    if state.read(state.Param.GUIDE):
        with boundary("The guide"):
            draw_guide(_progress(answers))
    with boundary("The engine"):
        statuses: list[DeploymentStatus] = answers["deployments"]
        last = _newest_by_deployment(answers.get("changes", []))
        rates = answers.get("rates", {})
        now = datetime.now(UTC)
        for start in range(0, len(statuses), 2):
            for column, status in zip(st.columns(2), statuses[start : start + 2], strict=False):
                d = status.deployment
                with column, boundary(f"The card of {d.name}"):
                    verdict = latest(built, d.namespace, d.name) if len(d.live) > 1 else None
                    draw_card(status, rates.get((d.namespace, d.name)), last.get(d.key), now, verdict)
        return not statuses
    return False


def train_wine_example(built: Services, who: str) -> list[int]:
    """Queue the tutorial's two models; returns the numbers of the trainings."""
    return [built.training.submit(parameters, who=who).id for parameters in TUTORIAL_MODELS]


def draw_wine_trainings(built: Services, numbers: Sequence[int]) -> None:
    """How far the trainings are that were asked for on this page, with the way to their logs."""
    states = [built.training.get(number).state for number in numbers]
    over = sum(state.final for state in states)
    failed = sum(state is JobState.FAILED for state in states)
    words = f"Training the wine example: {over} of {len(states)} models done" + (f", {failed} failed" if failed else "")
    with st.container(border=True, key="wine-trainings", gap="xsmall"):
        st.progress(over / len(states), words)
        page_link("runs", "Watch the trainings", {Param.RUNS_VIEW: "Train"})


def _questions(built: Services, guided: bool) -> dict[str, Callable[[], Any]]:
    questions: dict[str, Callable[[], Any]] = {
        "health": built.health.all,
        "deployments": built.engine.list,
        "changes": lambda: built.store.changes(limit=RECENT_CHANGES),
        "rates": built.metrics.rates_now,
    }
    if guided:
        questions |= {
            "trained": lambda: _trained(built),
            "traffic": lambda: built.metrics.tiles(None, None, TRAFFIC_WINDOW_S).n,
            "replays": lambda: built.replays.recent(limit=20),
        }
    return questions


def _trained(built: Services) -> int:
    experiments = [experiment.id for experiment in built.runs.experiments()]
    found = built.runs.search(experiments, limit=RECENT_RUNS).runs if experiments else ()
    return sum(1 for run in found if run.status == "FINISHED" and (run.models or run.mlflow2_model))


def _progress(answers: Answers) -> Progress:
    statuses: list[DeploymentStatus] = answers.get("deployments", [])
    wanted = "/".join(state.deployment() or ())
    chosen = next((s for s in statuses if s.deployment.key == wanted), statuses[0] if statuses else None)
    replays = [r for r in answers.get("replays", []) if r.state in (JobState.RUNNING, JobState.DONE)]
    shares = [percent for _, percent in chosen.requested.shares] if chosen else []
    return Progress(
        trained=answers.get("trained", 0),
        deployment=chosen.deployment.key if chosen else "",
        live_arms=len(shares),
        predictions=answers.get("traffic", 0),
        challenger_percent=challenger(shares),
        replays=len(replays),
    )


def _newest_by_deployment(changes: list[Change]) -> dict[str, Change]:
    newest: dict[str, Change] = {}
    for change in changes:
        newest.setdefault(f"{change.namespace}/{change.deployment}", change)
    return newest
