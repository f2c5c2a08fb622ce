"""The mends that can be made to a deployment without asking anything further. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.domain import Deployment, Finding, Fix, Parameter, Predictor

START_BUDGET_S = 1200
"""Enough for nearly every environment; Seldon's own example for MLflow models allows about 18 minutes."""
LABELS = {
    Fix.XTYPE: "Set xtype",
    Fix.NODE_NAMES: "Name them apart",
    Fix.START_BUDGET: "Give it 20 min",
}


def mended(deployment: Deployment, findings: Iterable[Finding]) -> Deployment:
    """The deployment with the mends of these findings made; those without one change nothing."""
    for finding in findings:
        if finding.fix is not None:
            touched = [
                p if finding.predictor not in ("", p.name) else _mend(p, finding.fix) for p in deployment.predictors
            ]
            deployment = replace(deployment, predictors=tuple(touched))
    return deployment


def _mend(predictor: Predictor, fix: Fix) -> Predictor:
    if fix is Fix.XTYPE:
        others = tuple(p for p in predictor.parameters if p.name != "xtype")
        return replace(predictor, parameters=(*others, Parameter("xtype", "DataFrame")))
    if fix is Fix.NODE_NAMES:
        return replace(predictor, node="")
    return replace(predictor, start_budget_s=START_BUDGET_S)
