"""All tests with their verdicts over time, as one table for other programs: a line per test.

A test that was decided says what it was decided on, which is in the decision's record and cannot drift. One that runs
is assessed now. One that ended without a decision is assessed anew over its time, and says so: late truths may have
come in since, and Prometheus may have forgotten the counters.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import pandas as pd

from services.decisions.evidence import evidence
from services.decisions.plan import Plan, Progress
from services.errors import DecantError
from services.evidence.decision_table import UNDONE, DecisionRecord
from services.evidence.export import ExportForm
from services.evidence.store import EvidenceStore
from services.verdict.model import Assessment, Light
from services.verdict.rule import Rule, Source
from services.verdict.service import test_of

Assess = Callable[[str, str, int | None], Assessment]
Tell = Callable[[int, int], None]
"""Hears how many of how many tests are done."""

MOST_DECISIONS = 1_000_000


class Basis(StrEnum):
    """Where the verdict of a line comes from."""

    DECISION = "decision"
    NOW = "now"
    RECOMPUTED = "recomputed"
    NONE = "none"  # it cannot be assessed now; the headline says why


_TEXT, _WHOLE, _REAL, _YES, _TIME = "string", "Int64", "Float64", "boolean", "datetime64[us, UTC]"
COLUMNS = {
    "namespace": _TEXT, "deployment": _TEXT, "test": _WHOLE, "running": _YES,
    "began_at": _TIME, "began_by": _TEXT, "began_why": _TEXT, "ended_at": _TIME, "ended_why": _TEXT,
    "arm_a": _TEXT, "arm_b": _TEXT, "model_a": _TEXT, "model_b": _TEXT,
    "reward": _TEXT, "reward_formula": _TEXT, "decides": _TEXT, "live_from": _TEXT, "alpha": _REAL,
    "minimum_effect": _REAL, "planned_pairs": _WHOLE, "planned_live": _WHOLE, "error_increase": _REAL, "slow_ms": _REAL,
    "slow_increase": _REAL, "rule_note": _TEXT,
    "basis": _TEXT, "as_of": _TIME, "call": _TEXT, "headline": _TEXT, "reasons": _TEXT, "red_checks": _TEXT,
    "source": _TEXT, "n": _WHOLE, "n_a": _WHOLE, "n_b": _WHOLE, "mean_a": _REAL, "mean_b": _REAL,
    "difference": _REAL, "low": _REAL, "high": _REAL, "level": _REAL, "p": _REAL, "withheld": _TEXT,
    "decision": _WHOLE, "decided": _TEXT, "winner": _TEXT, "decided_at": _TIME, "decided_by": _TEXT,
    "decided_why": _TEXT, "decision_state": _TEXT, "override": _YES, "overridden": _TEXT, "undone_by": _TEXT,
    "undone_why": _TEXT,
}  # fmt: skip
"""Names and types of the columns. Differences are B - A in the unit of the reward; times are UTC."""


def verdict_table(
    store: EvidenceStore,
    assess: Assess,
    *,
    namespace: str | None = None,
    deployment: str | None = None,
    tell: Tell = lambda _done, _all: None,
) -> pd.DataFrame:
    """One row per test, oldest first, with COLUMNS. Raises Unavailable without the store."""
    tests = store.tests.every(namespace, deployment)
    by_test: dict[int, DecisionRecord] = {}
    for record in store.decisions.recent(namespace, deployment, MOST_DECISIONS):  # newest first
        known = by_test.get(record.test)
        if known is None or (known.state == UNDONE and record.state != UNDONE):
            by_test[record.test] = record
    rows: list[dict[str, Any]] = []
    for test in tests:
        tell(len(rows), len(tests))
        decision = by_test.get(test.id)
        begun = test_of(test)
        found, basis = _evidence(assess, begun.namespace, begun.deployment, test.id, begun.running, decision)
        rows.append(
            {
                "namespace": test.namespace,
                "deployment": test.deployment,
                "test": test.id,
                "running": begun.running,
                "began_at": test.started_at,
                "began_by": test.who,
                "began_why": test.why,
                "ended_at": test.ended_at,
                "ended_why": test.ended_why,
                "arm_a": begun.rule.champion,
                "arm_b": begun.rule.challenger,
                "model_a": test.model_a,
                "model_b": test.model_b,
                **_rule(begun.rule),
                "rule_note": " ".join(begun.read_as),
                "basis": basis.value,
                **_verdict(begun.rule, found),
                **(_decision(decision) if decision else {}),
            }
        )
    tell(len(tests), len(tests))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def verdicts_as(form: ExportForm, table: pd.DataFrame) -> bytes:
    """The table as the bytes of a file."""
    if form is ExportForm.CSV:
        return table.to_csv(index=False).encode()
    target = io.BytesIO()
    table.to_parquet(target, index=False)
    return target.getvalue()


def _evidence(
    assess: Assess, namespace: str, name: str, test: int, running: bool, decision: DecisionRecord | None
) -> tuple[Mapping[str, Any], Basis]:
    """The assessment as data, as `evidence` gives it."""
    recorded = decision.evidence.get("evidence") if decision is not None else None
    if isinstance(recorded, Mapping):
        return recorded, Basis.DECISION
    try:
        return evidence(assess(namespace, name, test)), Basis.NOW if running else Basis.RECOMPUTED
    except DecantError as error:
        return {"headline": error.sentence}, Basis.NONE


def _rule(rule: Rule) -> dict[str, Any]:
    rails = rule.guardrails
    return {
        "reward": rule.reward.label, "reward_formula": rule.reward.formula, "decides": rule.decides.value,
        "live_from": rule.live_source.value, "alpha": rule.alpha, "minimum_effect": rule.minimum_effect,
        "planned_pairs": rule.planned_pairs, "planned_live": rule.planned_live,
        "error_increase": rails.error_increase, "slow_ms": rails.slow_ms, "slow_increase": rails.slow_increase,
    }  # fmt: skip


def _verdict(rule: Rule, found: Mapping[str, Any]) -> dict[str, Any]:
    red = [c["sentence"] for c in found.get("checks", ()) if c["light"] == Light.RED.value]
    strand = _deciding(rule, found) or {}
    interval = strand.get("interval") or {}
    return {
        "as_of": datetime.fromisoformat(found["as_of"]) if "as_of" in found else None,
        "call": found.get("call"), "headline": found.get("headline"), "reasons": found.get("fired"),
        "red_checks": " ".join(red), "source": strand.get("source"),
        **{key: strand.get(key) for key in ("n", "n_a", "n_b", "mean_a", "mean_b", "withheld")},
        "difference": interval.get("estimate"), **{key: interval.get(key) for key in ("low", "high", "level", "p")},
    }  # fmt: skip


def _deciding(rule: Rule, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """As Assessment.deciding, of an assessment as data; what else there is where no source that decides has begun."""
    strands = [found[source.value] for source in Source if found.get(source.value)]
    may = [strand for strand in strands if rule.decided_by(Source(strand["source"]))]
    known = [strand for strand in may if strand["interval"]]
    clear = [s for s in known if s["interval"]["low"] > 0 or s["interval"]["high"] < 0]
    return next(iter(clear or known or may or strands), None)


def _decision(record: DecisionRecord) -> dict[str, Any]:
    plan, progress = Plan.from_json(record.evidence), Progress.from_json(record.steps)
    return {
        "decision": record.id, "decided": plan.kind.value, "winner": plan.winner, "decided_at": record.at,
        "decided_by": record.who, "decided_why": record.why, "decision_state": record.state,
        "override": record.override, "overridden": " ".join(plan.overridden),
        "undone_by": progress.undo_who, "undone_why": progress.undo_why,
    }  # fmt: skip
