"""What an arm can be given beside a model and replicas: as far as the engine makes use of it, folded away."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from app import format as fmt
from app.components.draft import Extras
from app.components.preflight import take_mend
from app.guard import escape
from app.wiring import services
from services.domain import MAX_START_BUDGET_S, ArmOption, Fix, Predictor, Resources
from services.preflight.mending import START_BUDGET_S

BUDGET_HELP = (
    "How many seconds the model may take to start before it counts as failed and is started anew. A model whose "
    "environment is built first takes minutes. Empty: the usual time."
)
SECRET_HELP = (
    "Name of the Secret, in the deployment's namespace, with what it takes to fetch the model, such as the keys of a "
    "bucket. Empty: none, or Decant's own where the model lies in its model store."
)
_CPU = "In processors, `2`, or thousandths of one, `500m`."
_MEMORY = "In bytes with a unit, such as `512Mi` or `2Gi`."
_ASKED = "What each replica asks for: it starts only where that is free. Empty: nothing."
RESOURCE_HELP = {
    "cpu_request": f"{_ASKED} {_CPU}",
    "cpu_limit": f"What each replica may use at most; beyond, it is slowed down. Empty: no limit. {_CPU}",
    "memory_request": f"{_ASKED} {_MEMORY}",
    "memory_limit": f"What each replica may use at most; beyond, it is ended. Empty: no limit. {_MEMORY}",
}
RESOURCE_LABELS = {
    "cpu_request": "CPU request",
    "cpu_limit": "CPU limit",
    "memory_request": "Memory request",
    "memory_limit": "Memory limit",
}


def draw_arm_options(letter: str, name: str, present: Predictor | None, key: str) -> tuple[Extras, list[str]]:
    """The fields of arm `name`, as it is live or empty. Returns what they say, and what is wrong with it in words.

    What the engine makes no use of has no field and stays as it is. `key` is the form's.
    """
    offered = services().engine.arm_options
    live = Extras.of(present)
    if not offered:
        return live, []
    box = st.expander("More settings", icon=":material/tune:", key=f"more-{letter}-{key}")
    with box:
        budget_s, secret, resources = live.start_budget_s, live.env_secret, live.resources
        if ArmOption.START_BUDGET in offered:
            budget_s = _budget(name, live.start_budget_s, f"{letter}-{key}", key)
        if ArmOption.SECRET in offered:
            secret = _text("Secret", live.env_secret, f"secret-{letter}-{key}", SECRET_HELP)
        if ArmOption.RESOURCES in offered:
            resources = _resources(live.resources, f"{letter}-{key}")
    found = Extras(secret, budget_s, resources)
    if said := summary(found, offered):
        st.caption(f":material/tune: {escape(said)}")
    problems = found.problems(name)
    for problem in problems:
        st.caption(f":red[{escape(problem)}]")
    return found, problems


def summary(extras: Extras, offered: Collection[ArmOption]) -> str:
    """What is set of that which is offered: `may take 20 min to start, secret store, CPU 500m to 2`. Pure."""
    said = []
    if ArmOption.START_BUDGET in offered and extras.start_budget_s is not None:
        said.append(f"may take {fmt.duration(extras.start_budget_s)} to start")
    if ArmOption.SECRET in offered and extras.env_secret:
        said.append(f"secret {extras.env_secret}")
    if ArmOption.RESOURCES in offered:
        r = extras.resources
        said += [
            f"{what} {_span(asked, most)}"
            for what, asked, most in (("CPU", r.cpu_request, r.cpu_limit), ("memory", r.memory_request, r.memory_limit))
            if asked or most
        ]
    return ", ".join(said)


def _span(asked: str, most: str) -> str:
    if asked and most:
        return asked if asked == most else f"{asked} to {most}"
    return f"at least {asked}" if asked else f"at most {most}"


def _budget(name: str, live: int | None, key: str, form: str) -> int | None:
    field = f"budget-{key}"
    st.session_state.setdefault(field, live)
    if take_mend(form, name, Fix.START_BUDGET):  # the button of the pre-flight check fills in the field
        st.session_state[field] = START_BUDGET_S
    said = st.number_input(
        "Start budget, seconds",
        min_value=1,
        max_value=MAX_START_BUDGET_S,
        value=None,
        step=60,
        placeholder="the usual",
        key=field,
        help=BUDGET_HELP,
    )
    return None if said is None else int(said)


def _resources(live: Resources, key: str) -> Resources:
    said = {}
    for fields in (("cpu_request", "cpu_limit"), ("memory_request", "memory_limit")):
        for column, field in zip(st.columns(2), fields, strict=True):
            with column:
                said[field] = _text(
                    RESOURCE_LABELS[field], getattr(live, field), f"{field}-{key}", RESOURCE_HELP[field]
                )
    return Resources(**said)


def _text(label: str, live: str, key: str, help_text: str) -> str:
    return st.text_input(label, live, key=key, placeholder="none", help=help_text, max_chars=253).strip()
