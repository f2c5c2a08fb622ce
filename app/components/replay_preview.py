"""What a few rows would earn, before anything is recorded: numbers and a histogram per arm, how far to trust them."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app import format as fmt
from app import theme
from app.components.arms import draw_arm_title, label, position
from app.components.live_chart import live_chart
from app.components.reward_picker import scale_key
from app.guard import escape
from app.wiring import services, who
from services.domain import Deployment
from services.traffic.preview import PREVIEW_ROWS, ArmPreview, Preview, PreviewSummary, histogram, summarise
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import RewardKind

HELD = "replay-preview"
HEIGHT_PX = 240
AXIS: dict[str, Any] = {"font": {"size": 13}, "standoff": 8}
CLOSE = 0.02
"""Share by which the scale may be off the suggested one before it is offered."""


def look_button(*, disabled: bool) -> bool:
    return st.button(
        f"Preview on {PREVIEW_ROWS} rows",
        icon=":material/visibility:",
        disabled=disabled,
        help="Asks each arm, past the split. Nothing is recorded, and no reward is sent.",
    )


def draw_preview(spec: ReplaySpec, deployment: Deployment, digest: str, *, look: bool, reward_key: str) -> None:
    """Look if asked to, then draw what was seen; another reward is judged on the same answers."""
    models = tuple(p.model_uri for p in deployment.predictors)
    asked = (deployment.key, models, digest, spec.target, spec.predictor, spec.arms, spec.rows, spec.sample_seed)
    if look:
        with st.spinner("Asking the arms"):
            st.session_state[HELD] = (asked, services().replays.preview(spec, who=who()))
    about, seen = st.session_state.get(HELD, (None, None))
    if about == asked and seen is not None:
        _draw(seen, summarise(seen, spec.reward), spec, deployment, reward_key)


def _draw(seen: Preview, summary: PreviewSummary, spec: ReplaySpec, deployment: Deployment, reward_key: str) -> None:
    st.markdown(f"**Preview** &nbsp; :gray[{len(seen.rows)} rows to each arm; nothing was recorded]")
    if summary.warning:
        st.warning(escape(summary.warning), icon=":material/warning:")
    left, right = st.columns([2, 3], gap="large")
    with left:
        for arm in summary.arms:
            place = position(deployment, arm.predictor)
            draw_arm_title(place, arm.predictor)
            st.caption(arm_text(arm))
        _draw_scale(summary, spec, reward_key)
    with right:
        live_chart(figure(summary, deployment), key="replay-preview-chart", alt="Rewards per arm, as a histogram")


def _draw_scale(summary: PreviewSummary, spec: ReplaySpec, reward_key: str) -> None:
    if spec.reward.kind is not RewardKind.BOUNDED or summary.scale is None:
        return
    scale = summary.scale
    if abs(spec.reward.scale / scale - 1) <= CLOSE:
        st.caption(":material/check: The scale is that of the champion's errors here.")
        return

    def take() -> None:
        st.session_state[scale_key(reward_key)] = scale

    st.button(f"Take {scale:g} as scale", icon=":material/straighten:", on_click=take)
    st.caption(f"The champion's errors have a standard deviation of {scale:g}: such an error would then earn one half.")


def arm_text(arm: ArmPreview) -> str:
    """What one arm would earn, as Markdown. Pure."""
    sums = arm.sums
    parts = [
        f"mean reward **{fmt.number(sums.mean, 4)}**",
        f"sd {fmt.number(sums.sd)}",
        f"n {fmt.count(sums.n)}",
        f"largest {fmt.percent(sums.top_share)} of the sum",
    ]
    rows = f"{fmt.count(arm.failed)} row{'s' * (arm.failed != 1)}"
    failed = f"  \n:red[{rows} earned nothing:] {escape(arm.error)}" if arm.failed else ""
    few = "1 row has" if arm.without_truth == 1 else f"{fmt.count(arm.without_truth)} rows have"
    empty = f"  \n{few} no truth and would earn nothing." if arm.without_truth else ""
    return " · ".join(parts) + empty + failed


def figure(summary: PreviewSummary, deployment: Deployment) -> dict[str, Any]:
    """The rewards of the arms in the same bins, as steps over each other in the arms' colours. Pure."""
    found = histogram(summary)
    steps = [float(edge) for edge in found.edges]
    traces = []
    for arm, counts in found.counts.items():
        color = theme.arm_color(position(deployment, arm), dark=False)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": label(deployment, arm),
                "x": steps,
                "y": [*(int(n) for n in counts), int(counts[-1])],
                "line": {"color": color, "width": 2, "shape": "hv"},
                "fill": "tozeroy",
                "fillcolor": theme.faint(color, 0.18),
                "meta": {"dark": theme.arm_color(position(deployment, arm), dark=True)},
                "hovertemplate": "%{y} rows",
            }
        )
    top = max((int(counts.max()) for counts in found.counts.values()), default=1)
    layout = {
        "height": HEIGHT_PX,
        "margin": {"l": 44, "r": 8, "t": 30, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 13},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        "showlegend": True,
        "uirevision": f"preview-{found.logarithmic}",
        "xaxis": {
            **_axis(steps[0], steps[-1], logarithmic=found.logarithmic),
            "showgrid": False,
            "nticks": 8,
        },
        "yaxis": {"range": [0, 1.08 * max(1, top)], "title": AXIS | {"text": "rows"}, "nticks": 5, "zeroline": False},
    }
    return {"data": traces, "layout": layout}


def _axis(low: float, high: float, *, logarithmic: bool) -> dict[str, Any]:
    """The axis of the rewards: Plotly wants the ends of a logarithmic one as exponents of 10."""
    if not logarithmic:
        return {"type": "linear", "range": [low, high], "title": AXIS | {"text": "reward"}}
    ends = [math.log10(low), math.log10(high)]
    return {"type": "log", "range": ends, "title": AXIS | {"text": "reward, logarithmic"}}
