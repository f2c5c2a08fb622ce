"""Requested, in force, observed: three answers to “what is the split?”, each from the one who knows it.

Requested is in the manifest, in force is read back from what divides the traffic, observed is counted there since the
split last changed, with the band in which the test of the split, the same as on the Verdict page, sees nothing amiss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import streamlit as st

from app import format as fmt
from app import reads, state, theme
from app.components import arms
from app.guard import escape as plain
from app.guard import guarded
from services.deployments.history_text import split_of
from services.domain import Change, Deployment, DeploymentStatus
from services.errors import DecantError, InvalidInput
from services.stats.srm import AMBER, RED, STANDARD, SplitBand, split_band

REFRESH_S = 2.0


@dataclass(frozen=True)
class Observed:
    """What one arm got of the requests that were split: outside `band` it is amber, outside `certain` red."""

    predictor: str
    label: str
    count: int
    band: SplitBand
    certain: SplitBand

    @property
    def outside(self) -> bool:
        """Whether the test of the split is amber or red."""
        return not self.band.holds(self.count)

    @property
    def wrong(self) -> bool:
        """Whether it is red: chance is no explanation any more."""
        return not self.certain.holds(self.count)

    @property
    def sentence(self) -> str:
        """`B got 19.2 % of 1,204 requests; 15.9-24.1 % expected`."""
        low, high = fmt.percent(self.band.low_share), fmt.percent(self.band.high_share)
        expected = low if low == high else f"{low.removesuffix(f'{fmt.THIN}%')}–{high}"
        got = fmt.percent(self.count / self.band.n)
        return f"{self.label} got {got} of {fmt.count(self.band.n)} requests; {expected} expected"


def observe(deployment: Deployment, counts: Mapping[str, int]) -> tuple[Observed, ...]:
    """Each arm's count beside its band; empty while nothing was counted. Pure."""
    split = deployment.split
    n = sum(counts.get(name, 0) for name in split.names)
    if not n:
        return ()
    each = len(split.names) if len(split.names) > 2 else 1  # of two arms, what one gets says what the other gets

    def one(name: str, share: float) -> Observed:
        band, certain = (split_band(n, share, level / each) for level in (AMBER, RED))
        return Observed(name, arms.label(deployment, name), counts.get(name, 0), band, certain)

    return tuple(one(name, share / 100) for name, share in split.shares)


def split_since(changes: Sequence[Change], status: DeploymentStatus | None) -> datetime | None:
    """When the split last became what it is, of a history with the newest first. Pure.

    Where it is not what the history says, another tool has moved it, and the engine knows when.
    """
    fallback = status.changed_at if status else None
    told = _split_of(changes[0].after) if changes else None
    if status and told is not None and status.managed_by and told != status.requested.as_dict():
        return fmt.aware(fallback) if fallback else None
    for change in changes:
        if _split_of(change.before) != _split_of(change.after):
            return fmt.aware(change.at)
    return fmt.aware(fallback) if fallback else None


def _split_of(text: str) -> dict[str, int] | None:
    try:
        split = split_of(text)
    except InvalidInput:
        return None
    return split.as_dict() if split else None


@st.fragment(run_every=REFRESH_S)
@guarded("The live split")
def draw_live_split(namespace: str, name: str) -> None:
    """The three answers, refreshed by themselves."""
    status = reads.status(namespace, name)
    since = split_since(reads.history(namespace, name), status)
    counts: Mapping[str, int] = {}
    trouble = ""
    try:
        counts = reads.router_counts(namespace, name, since) if since else {}
    except DecantError as error:
        trouble = error.sentence
    seen = {o.predictor: o for o in observe(status.deployment, counts)}
    st.html("".join(_row(status, predictor, seen.get(predictor)) for predictor in status.requested.names))
    _draw_words(status, list(seen.values()), since, trouble)


def _draw_words(status: DeploymentStatus, seen: Sequence[Observed], since: datetime | None, trouble: str) -> None:
    if status.beginning:
        st.caption("No split is in force yet: no arm is ready.")
    elif status.in_force is None:
        st.caption(":orange[Which split is in force cannot be read now.]")
    elif status.in_force.as_dict() != status.requested.as_dict():
        st.caption(f":orange[Still in force: {status.in_force}; requested: {status.requested}.]")
    if trouble:
        st.caption(f"Observed: {plain(trouble)}")
    elif not seen:
        st.caption("Observed: no requests through the split since it last changed.")
    else:
        st.caption(
            f"Observed since {fmt.clock(since, state.zone())}. Shaded: where nothing is amiss by {STANDARD}. The "
            "Verdict page uses the same, over the whole test."
        )
        for one in seen:
            if one.wrong:
                st.error(
                    f"**{plain(one.sentence)}.** That is no accident (p below {RED:g}). Is an arm down, or did "
                    "somebody else move the split?",
                    icon=":material/balance:",
                )
            elif one.outside:
                st.warning(
                    f"**{plain(one.sentence)}.** That is rare by chance (p below {AMBER:g}). Is an arm down, or did "
                    "somebody else move the split?",
                    icon=":material/balance:",
                )


def _row(status: DeploymentStatus, predictor: str, seen: Observed | None) -> str:
    """One arm: its name, the three shares, and a bar from 0 to 100 % with request, band and what was observed."""
    place = arms.position(status.deployment, predictor)
    color = theme.arm_color(place)
    requested = status.requested[predictor]
    in_force = status.in_force.as_dict().get(predictor) if status.in_force else None
    share = seen.count / seen.band.n if seen else None
    band = (
        f'<div style="position:absolute;top:0;bottom:0;left:{seen.band.low_share * 100:.2f}%;'
        f"width:max(2px,{(seen.band.high_share - seen.band.low_share) * 100:.2f}%);"
        f'background:{theme.faint(color, 0.35)}"></div>'
        if seen
        else ""
    )
    mark = (
        f'<div style="position:absolute;top:3px;width:10px;height:10px;border-radius:50%;'
        f'left:calc({share * 100:.2f}% - 5px);background:{color}"></div>'
        if share is not None
        else ""
    )
    tick = (
        f'<div style="position:absolute;top:-3px;bottom:-3px;left:calc({requested}% - 1px);width:2px;'
        f'background:{color}"></div>'
    )
    name = escape(arms.label(status.deployment, predictor))
    words = escape(seen.sentence) + (" ⚠" if seen.outside else "") if seen else "observed —"
    unread = "not yet" if status.beginning else "unknown"
    force = f"{in_force} %" if in_force is not None else unread
    return (
        f'<div style="margin:.15rem 0 .9rem"><div style="display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;'
        f'align-items:baseline"><b>{arms.dot(place)}{name}</b><span>requested <b>{requested} %</b></span>'
        f'<span>in force <b>{force}</b></span><span style="opacity:.75">{words}</span></div>'
        f'<div style="position:relative;height:16px;margin-top:.35rem;border-radius:8px;'
        f'background:rgba(128,128,128,.16)">{band}{tick}{mark}</div></div>'
    )
