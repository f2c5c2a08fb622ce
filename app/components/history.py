"""The audit trail in words: who changed what, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from functools import lru_cache

import streamlit as st

from app import format as fmt
from services.deployments.history_text import read_split
from services.deployments.manifest import from_yaml
from services.domain import Change, Predictor, Split
from services.errors import InvalidInput

VERBS = {
    "apply": "applied a new version",
    "split": "moved the traffic",
    "delete": "deleted it",
    "undo": "undid a change",
    "outside": "changed it outside Decant",
    "end-test": "ended its test without a winner",
    "undo-decision": "took a decision on its test back",
}
DECIDED = {
    "promote": "promoted",
    "keep": "kept",
    "undo-decision": "took back",
    "undo": "undid",
    "outside": "outside Decant",
}
FIRST = {"undo": "undid: ", "outside": "outside Decant: "}


def describe(change: Change) -> str:
    """What a change did, in a few words: `traffic a 90 % / b 10 % → a 80 % / b 20 %`."""
    before, after = read_split(change.before), read_split(change.after)
    if after is not None:
        names = fmt.short_arms(after.names)
        moved = " → ".join(_short(split, names) for split in (before, after) if split is not None)
        return f"{FIRST.get(change.what, '')}traffic {moved}"
    if change.what == "apply" and not change.before:
        return "deployed it"
    if change.what == "undo" and not change.after:
        return "undid the deployment"
    said = _difference(change.before, change.after) if change.before and change.after else ""
    number = f" (decision {change.decision})" if change.decision else ""
    if not said:
        return VERBS.get(change.what, change.what) + number
    verb = DECIDED.get(change.what)
    return f"{verb}{number}: {said}" if verb else said


@lru_cache(maxsize=512)
def _difference(before: str, after: str) -> str:
    """How two manifests differ in their arms: `added b; a: another model, 1 → 2 replicas`; empty for what else may."""
    try:
        old, new = from_yaml(before), from_yaml(after)
    except InvalidInput:
        return ""
    had, has = ({p.name: p for p in deployment.predictors} for deployment in (old, new))
    said = [f"added {'shadow ' if p.shadow else ''}{name}" for name, p in has.items() if name not in had]
    said += [f"removed {name}" for name in had if name not in has]
    said += [f"{name}: {words}" for name, p in has.items() if name in had and (words := _arm(had[name], p))]
    return "; ".join(said)


def _arm(old: Predictor, new: Predictor) -> str:
    words = ["another model"] if old.model_uri != new.model_uri else []
    if old.replicas != new.replicas:
        words.append(f"{old.replicas} → {new.replicas} replicas")
    if old.traffic != new.traffic:
        words.append(f"{old.traffic} → {new.traffic}{fmt.THIN}% of the traffic")
    if old.start_budget_s != new.start_budget_s:
        words.append(f"start budget {_budget(old)} → {_budget(new)}")
    if old.env_secret != new.env_secret:
        words.append(f"secret {old.env_secret or 'none'} → {new.env_secret or 'none'}")
    if old.resources != new.resources:
        words.append("other resources")
    return ", ".join(words)


def _budget(predictor: Predictor) -> str:
    return "the usual" if predictor.start_budget_s is None else fmt.duration(predictor.start_budget_s)


def _short(split: Split, names: dict[str, str]) -> str:
    return " / ".join(f"{names.get(name, name)} {percent}{fmt.THIN}%" for name, percent in split.shares)


def draw_history(changes: Sequence[Change], zone: tzinfo, empty: str = "Nobody changed anything with Decant.") -> None:
    """A table of changes, newest first as given."""
    if not changes:
        st.caption(empty)
        return
    st.dataframe(
        {
            "When": [fmt.clock(c.at, zone) for c in changes],
            "Who": [c.who for c in changes],
            "What": [describe(c) for c in changes],
            "Why": [c.reason or fmt.NONE for c in changes],
        },
        hide_index=True,
        width="stretch",
        column_config={"What": st.column_config.TextColumn(width="large")},
    )
