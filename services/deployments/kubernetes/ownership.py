"""Who wrote a deployment: Decant, or somebody with kubectl, Git or another tool; and what that means for a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.deployments.kubernetes.failures import ApiRefused

MANAGER = "decant"
_SPEC = "f:spec"


def foreign_manager(found: Mapping[str, Any]) -> str:
    """The field manager that owns the deployment's predictors where it is not Decant; "" where it is.

    A deployment that Decant has taken over belongs to it although its first author is still listed for other fields.
    """
    owners = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in (found.get("metadata") or {}).get("managedFields") or []
        if entry.get("subresource") is None and _owns_predictors(entry)
    ]
    names = [name for _, name in sorted(owners)]
    return "" if not names or MANAGER in names else names[-1]


def _owns_predictors(entry: Mapping[str, Any]) -> bool:
    spec = (entry.get("fieldsV1") or {}).get(_SPEC)
    return isinstance(spec, Mapping) and any(key == "f:predictors" for key in spec)


def others_in(refused: ApiRefused) -> list[str]:
    """The managers, other than Decant, whose fields a refused server-side apply wanted."""
    return sorted({owned.manager for owned in refused.owned} - {MANAGER})
