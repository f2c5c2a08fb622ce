"""The form that makes or changes a deployment: a model for A, perhaps one for B, a shadow, and then Apply."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import streamlit as st

from app import reads, state
from app.components import base as bases
from app.components.arm_options import draw_arm_options
from app.components.arms import LETTERS, draw_arm_title, position
from app.components.arms import label as arm_label
from app.components.draft import FIRST, SECOND, SHADOW, ArmDraft, arm_name, arms_of, compose
from app.components.manifest_view import draw_manifest
from app.components.model_picker import RECENT_RUNS, draw_picker, draw_resolved, draw_tracking_notice, known_choices
from app.components.preflight import chosen_mends, draw_preflight
from app.components.rights import leads_only
from app.components.split_slider import EDITOR, after_change, contested, draw_share_slider, draw_stale
from app.components.take_over import ask_take_over
from app.components.target import Target
from app.guard import boundary, escape
from app.state import Param
from app.wiring import note, services
from services.domain import MAX_REPLICAS, Deployment, DeploymentStatus, Predictor
from services.errors import DecantError
from services.preflight.mending import mended

START_SHARE = 20  # percent for B in a new deployment, as in the tutorial
_MEANT_FOR = "apply-meant-for"
"""Whether the deployment was there when the button was drawn that is pressed now."""
JOIN_SHARE = 0  # for a B that joins a live A: nothing moves before somebody moves it


@dataclass(frozen=True)
class _Slot:
    """One arm of the form: where its colour is, what is live there, what the URL asks for."""

    letter: str
    place: int
    present: Predictor | None
    param: Param | None
    optional: bool


def draw_deploy_form(target: Target, hindrance: str = "") -> None:
    """Draw it for a new or a live deployment; Apply calls the operation once and starts the page anew.

    `hindrance` says why nothing can be applied now; empty where nothing stands in the way.
    """
    if not leads_only("Deploying models"):
        return
    status = target.status
    base = bases.follow(EDITOR, target.key if status else "new", status)
    live = base.deployment
    present = arms_of(live)
    draw_tracking_notice()
    problems = [problem for problem in (target.problem, hindrance) if problem]
    columns = st.columns(2)
    slot_a = _Slot("A", 0, present.first, Param.MODEL_A, optional=False)
    slot_b = _Slot("B", 1, present.second, Param.MODEL_B, optional=present.second is None)
    place_c = position(live, present.shadow.name) if live and present.shadow else 2 + len(present.others)
    slot_c = _Slot(LETTERS[place_c], place_c, present.shadow, None, optional=True)
    _prefetch(slot_a, slot_b)
    name_a = arm_name(present.first, FIRST, set())
    name_b = arm_name(present.second, SECOND, {name_a})
    key = f"{target.key if status else 'new'}-{base.generation}"
    with columns[0]:
        first = _draw_arm(slot_a, name_a, key, problems)
    with columns[1]:
        second = _draw_arm(slot_b, name_b, key, problems)
    share = None
    if second and present.second is None:
        share = draw_share_slider("Share of B", START_SHARE if live is None else JOIN_SHARE, key=f"share-{key}")
    if present.others and live:
        names = [escape(arm_label(live, other.name)) for other in present.others]
        stay = "stays" if len(names) == 1 else "stay"
        st.caption(f"{' and '.join(names)} {stay} as live: a third arm is changed by the manifest that made it.")
    with st.expander(
        f"Shadow {slot_c.letter}: gets a copy of every request, its answers go to nobody", expanded=bool(present.shadow)
    ):
        name_c = arm_name(present.shadow, SHADOW, {name_a, name_b, *(p.name for p in present.others)})
        shadow = _draw_arm(slot_c, name_c, key, problems)
    if not first:
        if not problems:
            problems.append("Choose a model for A.")
        _draw_apply(target, None, "", base, problems)
        return
    composed = compose(target.namespace, target.name, live, first, second, shadow, share)
    wanted = mended(composed, chosen_mends(key))
    if second and wanted.predictors[0].model_uri == wanted.predictors[1].model_uri:
        st.info(
            "A and B are the same model: an A/A test, in which any difference is chance.", icon=":material/balance:"
        )
    written = _prepare(wanted, problems)
    yaml_text = _preview(written, problems)
    changed = draw_manifest(yaml_text, target.key, live is not None) if yaml_text else False
    if yaml_text and not changed and not problems:
        problems.append("This is what is live already.")
    elif not problems:
        with boundary("The pre-flight check"):
            problems += draw_preflight(reads.preflight(wanted, note().who), wanted, key)
    if status and base.version != status.version:
        if written == live:
            bases.renew(EDITOR, target.key, status)
            st.rerun()
        draw_stale(EDITOR, status)
    _draw_apply(target, wanted, yaml_text, base, problems)


def _draw_arm(slot: _Slot, name: str, key: str, problems: list[str]) -> ArmDraft | None:
    """One arm's fields. Returns None when no model is chosen; adds to `problems` what is wrong with it."""
    with st.container(border=True):
        present = slot.present
        detail = "shadow" if slot.param is None else "champion" if slot.letter == "A" else "challenger"
        draw_arm_title(slot.place, name, detail + ("" if present or not slot.optional else ", optional"))
        asked = state.read(slot.param) if slot.param else None
        labels = known_choices(present)
        default = asked or (present.model_uri if present else None)
        reference = draw_picker(
            f"Model of {slot.letter}", labels, key=f"model-{slot.letter}-{key}", default=default, optional=slot.optional
        )
        if slot.param:  # the draft is in the URL, so a link to it can be sent and other pages do not lose it
            live = present is not None and reference == present.model_uri
            state.write(slot.param, None if live else reference)
        replicas = int(
            st.number_input(
                "Replicas",
                0,
                MAX_REPLICAS,
                present.replicas if present else 1,
                key=f"replicas-{slot.letter}-{key}",
                help="Model server processes that share this arm's requests. 0 stops the arm.",
            )
        )
        if not reference:
            return None
        model, problem = draw_resolved(reference, present)
        if problem:
            problems.append(f"{slot.letter}: {problem}")
        if model is None and (present is None or reference != present.model_uri):
            return None
        extras, wrong = draw_arm_options(slot.letter, name, present, key)
        problems += wrong
        return ArmDraft(name, replicas, model, extras)


def _prepare(wanted: Deployment, problems: list[str]) -> Deployment:
    """The deployment as the engine will get it; says what comes before. What hinders goes into `problems`."""
    if problems:
        return wanted
    try:
        prepared = reads.prepared(wanted.validated())
    except DecantError as error:
        problems.append(str(error))
        return wanted
    if prepared.waiting:
        arms = [arm_label(wanted, name) for name in prepared.waiting]
        st.info(
            f"The model{'s' * (len(arms) > 1)} of {' and '.join(arms)} will be copied to where the cluster can read "
            f"{'them' if len(arms) > 1 else 'it'}, unless already there; the deployment is applied after that.",
            icon=":material/cloud_upload:",
        )
    return prepared.deployment


def _preview(wanted: Deployment, problems: list[str]) -> str:
    """The YAML that Apply would write; what the engine would refuse goes into `problems`."""
    if problems:
        return ""
    try:
        return services().engine.preview(wanted, note=note())
    except DecantError as error:
        problems.append(str(error))
        return ""


def _draw_apply(
    target: Target, wanted: Deployment | None, yaml_text: str, base: bases.Base, problems: list[str]
) -> None:
    why = st.text_input(
        "Reason", key=f"apply-why-{target.key}-{base.generation}", placeholder="why, for the history", max_chars=500
    )
    allowed, over = ask_take_over(target.status, key=f"apply-{target.key}")
    with st.container(horizontal=True, vertical_alignment="center"):
        label = "Apply" if target.status else "Deploy"
        pressed = st.button(
            label,
            type="primary",
            icon=":material/rocket_launch:",
            disabled=wanted is None or not yaml_text or bool(problems) or not allowed,
            key="apply",
        )
        if problems:
            st.caption(" ".join(escape(p) for p in dict.fromkeys(problems)))
    there = target.status is not None
    meant_for = st.session_state.get(_MEANT_FOR, there)
    st.session_state[_MEANT_FOR] = there
    if not pressed or wanted is None:
        return
    if meant_for != there:  # between the drawing of the button and the press on it
        what = "has made" if there else "has deleted"
        st.warning(
            f"Somebody {what} {target.key} meanwhile. Nothing was applied: look at what is there, and press again.",
            icon=":material/sync_problem:",
        )
        return
    stale = target.status is not None and base.version != target.status.version
    with boundary("Applying it"), contested(EDITOR, target.status, shown=stale) if target.status else nullcontext():
        done = services().publications.apply(wanted, note=note(why, take_over=over), expected_version=base.version)
        for param in (Param.MODEL_A, Param.MODEL_B):
            state.write(param, None)
        if isinstance(done, DeploymentStatus):
            after_change(done, base.version)
            st.toast(f"{wanted.key} is on its way.", icon=":material/rocket_launch:")
        else:
            reads.forget()
            st.toast("Its models are being published.", icon=":material/cloud_upload:")
        bases.renew(EDITOR, wanted.key, done if isinstance(done, DeploymentStatus) else target.status)
        if target.status is None:
            bases.renew(EDITOR, "new", None)
        state.select_deployment(wanted.namespace, wanted.name)
        st.rerun()
    reads.forget()


def _prefetch(*slots: _Slot) -> None:
    wanted = [state.read(slot.param) for slot in slots if slot.param]
    reads.prefetch(
        (reads.recent_runs, RECENT_RUNS),
        (reads.registered_models,),
        *((reads.model, reference) for reference in wanted if reference),
    )
