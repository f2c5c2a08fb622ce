"""What a refused write means to the engine: try again, or tell, and in which words."""

from __future__ import annotations

import re

from services.deployments.kubernetes.copies import missing_crd
from services.deployments.kubernetes.failures import ApiRefused
from services.errors import Conflict, InvalidDeployment, NotFound

_WEBHOOK = re.compile(r'^admission webhook "(?P<hook>[^"]+)" denied the request: (?P<words>.*)$', re.DOTALL)
_INVALID = re.compile(r"^[\w.]+ \"[^\"]*\" is invalid: (?P<words>.*)$", re.DOTALL)


_UNDECLARED = re.compile(r"(?P<field>\.[\w.\[\]-]+): field not declared in schema")


def undeclared(refused: ApiRefused) -> list[str]:
    """The fields that a server-side apply was refused for, because the cluster's CRD does not have them."""
    return list(dict.fromkeys(found.lstrip(".") for found in _UNDECLARED.findall(refused.words)))


def overtaken(refused: ApiRefused) -> bool:
    """Whether the object changed between read and write; who changed it is found out by reading again."""
    if refused.owned:
        return False
    # A JSON Patch whose test fails is answered with these words, and by newer servers with the test beside them.
    failed_test = refused.reason == "Invalid" and "error in our request" in refused.words
    return failed_test or refused.reason in ("Conflict", "AlreadyExists")


def translated(name: str, refused: ApiRefused) -> Exception:
    """The engine's error for a refusal that no second try can change."""
    if refused.status == 404:
        if "namespaces" in refused.words:
            return NotFound("namespace", refused.words.split('"')[1] if '"' in refused.words else name)
        return missing_crd()
    if refused.reason == "AlreadyExists":
        return Conflict(f"Deployment “{name}”", "somebody else created it first")
    if refused.reason == "Conflict":
        return Conflict(f"Deployment “{name}”", "it is being changed all the time")
    if fields := undeclared(refused):
        hint = "an older Seldon Core's CRD; leave it out or upgrade Seldon Core"
        return InvalidDeployment(name, [f"the cluster does not know the field {field} ({hint})" for field in fields])
    if refused.reason == "Invalid" or "denied the request" in refused.words:
        return InvalidDeployment(name, problems(refused))
    return refused


def problems(refused: ApiRefused) -> list[str]:
    """What schema or webhook object to, one entry each: `spec.predictors: must hold at least one`.

    The server's own list of causes is used where there is one; else its sentence, without what only names the object.
    """
    if refused.causes:
        return [f"{cause.field}: {cause.words}" if cause.field else cause.words for cause in refused.causes]
    words, hook = refused.words, ""
    if found := _WEBHOOK.match(words):
        words, hook = found["words"], f" (says {found['hook']})"
    if found := _INVALID.match(words):
        words = found["words"]
    return [f"{words.strip().strip('[]').rstrip('.')}{hook}"]
