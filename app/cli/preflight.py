"""The pre-flight check on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.output import say
from services.errors import InvalidInput

if TYPE_CHECKING:
    from services.domain import ChangeNote, Deployment, Finding
    from services.factory import Services
    from services.preflight.check import Report

MARKS = {"blocks": "BLOCKS", "warns": "careful", "fine": "fine"}


def run(built: Services, deployment: Deployment, note: ChangeNote, manifest: str, *, fine_too: bool) -> Report:
    """Check and say what was found; `fine_too`: also what is well. `manifest`: what the file says, if there is one."""
    report = built.preflight.check(deployment, note=note, manifest=manifest)
    for finding in report.findings:
        if fine_too or finding.severity.value != "fine":
            say(line(finding))
    return report


def line(finding: Finding) -> str:
    arm = f"{finding.predictor}: " if finding.predictor else ""
    mend = f"\n         {finding.mend}" if finding.mend else ""
    return f"{MARKS[finding.severity.value]:>7}  {arm}{finding.what}{mend}"


def refuse_if_blocked(report: Report, key: str) -> None:
    """Raises InvalidInput if something would certainly fail."""
    if report.blocks:
        count = len(report.blocks)
        raise InvalidInput(
            f"{key} is not applied: the pre-flight check found {count} problem{'s' * (count > 1)} (above).",
            "Mend what is said there; `--skip-check` applies it all the same.",
        )


def rows(report: Report) -> dict[str, object]:
    """The findings with stable keys, for JSON."""
    return {
        severity: [
            {"topic": f.topic, "predictor": f.predictor, "what": f.what, "mend": f.mend, "fix": f.fix}
            for f in report.findings
            if f.severity.value == severity
        ]
        for severity in MARKS
    }
