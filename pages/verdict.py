"""Verdict: what to do and why, or what is still missing."""

from __future__ import annotations

import streamlit as st

from app import reads, state
from app.components import verdict_reads
from app.components.picker import pick_deployment
from app.components.rights import change_button
from app.components.verdict_live import View, draw_verdict
from app.components.verdict_rule_form import ask_for_test
from app.components.verdict_start import choose_test, draw_no_test, live_arms
from app.guard import boundary, guarded
from app.links import page_link
from services.domain import DeploymentStatus
from services.verdict.rule import ABTest

REFRESH_S = 5


def page(namespace: str, name: str, status: DeploymentStatus | None, found: tuple[ABTest, ...]) -> None:
    if not found:
        draw_no_test(namespace, name, status)
        return
    with controls:
        test = choose_test(found, state.zone())
        auto = st.toggle("Auto-refresh", value=True, key="auto-refresh")
        arms = live_arms(status)
        alone = status is not None and len(arms) < 2
        said = "A test needs two live arms: add B on the Deploy page." if alone else None
        if change_button("New test …", icon=":material/flag:", key="new-test", disabled=alone, help=said):
            ask_for_test(namespace, name, found[0].rule, arms)

    @guarded("The verdict")
    def live() -> None:
        draw_verdict(View(namespace, name, test.id, found[0].id, state.zone()))

    st.fragment(live, run_every=REFRESH_S if auto and test.running else None)()


st.title("Verdict")
chosen, known = None, False
controls = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
with controls, boundary("The engine"):
    statuses = reads.deployments()
    known = True
    chosen = pick_deployment(statuses)
where = (chosen.deployment.namespace, chosen.deployment.name) if chosen else None if known else state.deployment()
if where is None:
    if known:
        st.info("Nothing is deployed yet, so there is nothing to compare.", icon=":material/rocket_launch:")
        page_link("deploy", "Deploy a model")
else:
    with boundary("The list of tests"):
        page(*where, chosen, tuple(verdict_reads.tests(*where)))
