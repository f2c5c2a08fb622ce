"""Moving the traffic of a live deployment: slider, reason, the button, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app import reads, state, theme
from app.components import arms, outage
from app.components import base as bases
from app.components.confirm import confirm_undo
from app.components.history import describe
from app.components.rights import leads_only, may_change
from app.components.take_over import ask_take_over
from app.guard import boundary, escape
from app.wiring import note, services
from services.deployments.history_text import read_split
from services.domain import Change, Deployment, DeploymentStatus, Split
from services.errors import Conflict

FORM, EDITOR = "split", "editor"


def draw_share_slider(label: str, value: int, *, key: str) -> int:
    """A share of 0 to 100 % in steps of 1, by slider or by number: the two follow each other."""
    slider, box = f"{key}-slider", f"{key}-number"
    st.session_state.setdefault(slider, value)
    st.session_state.setdefault(box, value)

    def follow(source: str, target: str) -> None:
        st.session_state[target] = st.session_state[source]

    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.slider(label, 0, 100, step=1, format="%d %%", key=slider, on_change=follow, args=(slider, box))
    right.number_input(
        "percent",
        0,
        100,
        step=1,
        key=box,
        on_change=follow,
        args=(box, slider),
        label_visibility="collapsed",
    )
    share = int(st.session_state[slider])
    st.html(split_bar(100 - share, share))
    return share


def split_bar(first: int, second: int) -> str:
    """The two shares as one bar in the arms' colours, as HTML."""
    parts = [
        f'<div style="width:{share}%;background:{theme.arm_color(place)}"></div>'
        for place, share in enumerate((first, second))
    ]
    return (
        f'<div style="display:flex;height:14px;border-radius:7px;overflow:hidden">{"".join(parts)}</div>'
        f'<div style="display:flex;justify-content:space-between;font-size:.9rem;margin-top:.2rem">'
        f"<span>{arms.dot(0, 9)}A {first} %</span><span>{arms.dot(1, 9)}B {second} %</span></div>"
    )


def draw_split_controls(status: DeploymentStatus) -> None:
    """The slider of a deployment with two live arms; more arms get a number each."""
    if not leads_only("Moving traffic"):
        return
    deployment = status.deployment
    key = deployment.key
    base = bases.follow(FORM, key, status)
    begun = base.deployment.split if base.deployment else status.requested
    wanted = _wanted(begun, deployment, f"split-{key}-{base.generation}")
    touched = wanted.as_dict() != begun.as_dict()
    stale = base.version != status.version
    if stale and not touched:
        bases.renew(FORM, key, status)
        st.rerun()
    if stale:
        draw_stale(FORM, status)
    why = st.text_input(
        "Reason", key=f"split-why-{key}-{base.generation}", placeholder="why, for the history", max_chars=500
    )
    problems = wanted.problems()
    allowed, over = ask_take_over(status, key=f"split-{key}")
    with st.container(horizontal=True, vertical_alignment="center"):
        move = st.button(
            "Move traffic",
            type="primary",
            icon=":material/swap_calls:",
            disabled=not touched or bool(problems) or not allowed,
        )
        undo_button(status)
    if problems:
        st.caption(f":red[{escape('; '.join(problems))}]")
    elif touched:
        st.caption(f"{escape(str(begun))} → **{escape(str(wanted))}**")
    else:
        st.caption("Move the slider, then press “Move traffic”. Nothing restarts; only the shares change.")
    if move:
        with boundary("Moving the traffic"), outage.noticed(), contested(FORM, status, shown=stale):
            done = services().operations.set_traffic(
                deployment.namespace,
                deployment.name,
                wanted,
                note=note(why, take_over=over),
                expected_version=base.version,
            )
            after_change(done, base.version)
            st.toast(f"Traffic moved: {done.requested}.", icon=":material/check:")
            st.rerun()
        reads.forget()


def after_change(done: DeploymentStatus, old_version: str) -> None:
    """One's own change is done: read anew, a fresh slider, and the form below keeps what was typed into it."""
    reads.forget()
    bases.renew(FORM, done.deployment.key, done)
    bases.adopt(EDITOR, done.deployment.key, old_version, done)


@contextmanager
def contested(form: str, status: DeploymentStatus, *, shown: bool) -> Iterator[None]:
    """Around a command: if somebody was quicker, say who and offer the newer state, unless that is `shown` already."""
    try:
        yield
    except Conflict:
        reads.forget()
        if not shown:
            namespace, name = status.deployment.namespace, status.deployment.name
            draw_stale(form, services().engine.get(namespace, name))


def draw_stale(form: str, status: DeploymentStatus) -> None:
    """Somebody changed the deployment under a form in use: who, what, when, and the way to start over."""
    key = status.deployment.key
    history = reads.history(status.deployment.namespace, status.deployment.name)
    newest: Change | None = history[0] if history else None
    who = newest.who if newest else status.changed_by or "Somebody"
    what = describe(newest) if newest else "changed it"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(
            f"**{escape(who)} changed this deployment while you were at it:** {escape(what)}. "
            "Your entries belong to the state before and were not applied.",
            icon=":material/sync_problem:",
        )
        if st.button("Reload", key=f"reload-{form}-{key}", icon=":material/refresh:"):
            bases.renew(form, key, status)
            for param in (state.Param.MODEL_A, state.Param.MODEL_B) if form == EDITOR else ():
                state.write(param, None)
            st.rerun()


def undo_button(status: DeploymentStatus) -> None:
    """Undo the newest change; a moved split at once, anything bigger after a question."""
    deployment = status.deployment
    history = reads.history(deployment.namespace, deployment.name)
    if not history or not may_change():
        return
    newest = history[0]
    help_text = f"{newest.who}: {describe(newest)}"
    if st.button("Undo last change", icon=":material/undo:", help=help_text, key=f"undo-{deployment.key}"):
        if read_split(newest.before) is None or status.managed_by:
            confirm_undo(status, newest)
            return
        with boundary("The undo"), outage.noticed():
            services().operations.undo(deployment.namespace, deployment.name, note=note())
            reads.forget()
            bases.renew(FORM, deployment.key, services().engine.get(deployment.namespace, deployment.name))
            st.rerun()


def _wanted(begun: Split, deployment: Deployment, key: str) -> Split:
    names = begun.names
    if len(names) == 2:
        share = draw_share_slider("Share of B", begun[names[1]], key=key)
        return Split.of([(names[0], 100 - share), (names[1], share)])
    shares = []
    for name in names:
        label = f"Share of {escape(arms.label(deployment, name))}, %"
        shares.append((name, int(st.number_input(label, 0, 100, begun[name], key=f"{key}-{name}"))))
    return Split.of(shares)
