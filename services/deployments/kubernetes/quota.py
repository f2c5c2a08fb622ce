"""Whether the pods of a deployment fit into what its namespace may still use. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from services.domain import Deployment, Finding, Predictor, Severity
from services.domain.resources import quantity

Object = Mapping[str, Any]
TOPIC = "quota"
_FIELDS = {
    "requests.cpu": "cpu_request",
    "cpu": "cpu_request",
    "requests.memory": "memory_request",
    "memory": "memory_request",
    "limits.cpu": "cpu_limit",
    "limits.memory": "memory_limit",
}
"""What a quota counts, and the field of a predictor's resources that it counts it by."""


def findings(
    wanted: Deployment, present: Deployment | None, quotas: Iterable[Object], limit_ranges: Iterable[Object]
) -> Iterator[Finding]:
    """Compare what new pods ask for at least with what each quota leaves.

    Seldon's own container in each pod asks for a little more, which is not counted.
    """
    quotas = list(quotas)
    defaults = _defaulted(limit_ranges)
    fits = True
    for quota in quotas:
        name = str((quota.get("metadata") or {}).get("name", ""))
        status = quota.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        for key in hard:
            allowed, taken = quantity(str(hard[key])), quantity(str(used.get(key, "0")))
            if allowed is None or taken is None:
                continue
            for finding in _against(wanted, present, name, key, allowed - taken, defaults):
                fits = False
                yield finding
    if quotas and fits:
        yield Finding(Severity.FINE, TOPIC, "The namespace's quota has room for it.")


def _against(
    wanted: Deployment, present: Deployment | None, quota: str, key: str, left: Decimal, defaults: set[str]
) -> Iterator[Finding]:
    new = [p for p in wanted.predictors if _new_pods(p, present)]
    if key in ("pods", "count/pods"):
        asked = Decimal(sum(_new_pods(p, present) for p in new))
        unsaid: list[str] = []
    elif field := _FIELDS.get(key):
        given = {p.name: quantity(getattr(p.resources, field)) for p in new}
        unsaid = [p.name for p in new if given[p.name] is None and field not in defaults]
        asked = sum((amount * _new_pods(p, present) for p in new if (amount := given[p.name])), Decimal(0))
    else:
        return
    if unsaid:
        yield Finding(
            Severity.BLOCKS,
            TOPIC,
            f"The namespace's quota “{quota}” takes only pods that say their {key}, and {', '.join(unsaid)} does not.",
            "Set CPU and memory (requests and limits) for it.",
            unsaid[0] if len(unsaid) == 1 else "",
        )
    if asked > left:
        # A change frees what it replaces only after the new pods run, unless the old ones end first.
        sure = present is None
        yield Finding(
            Severity.BLOCKS if sure else Severity.WARNS,
            TOPIC,
            f"The namespace's quota “{quota}” has {_plain(max(left, Decimal(0)), key)} of {key} left, and the new pods "
            f"ask for {_plain(asked, key)}.",
            "Ask for less (resources, replicas), delete what is not needed, or have the quota raised.",
        )


def _new_pods(predictor: Predictor, present: Deployment | None) -> int:
    """Pods that will be made for it: all where its model or its container changes, else the replicas that are added."""
    before = next((p for p in present.predictors if p.name == predictor.name), None) if present else None
    if before is None or _container(before) != _container(predictor):
        return predictor.replicas
    return max(0, predictor.replicas - before.replicas)


def _container(predictor: Predictor) -> tuple[object, ...]:
    p = predictor
    return (p.model_uri, p.node_name, p.parameters, p.env_secret, p.start_budget_s, p.resources)


def _defaulted(limit_ranges: Iterable[Object]) -> set[str]:
    """Fields that the namespace fills in by itself for a container that does not say them."""
    found = set()
    for one in limit_ranges:
        for limit in (one.get("spec") or {}).get("limits") or []:
            if limit.get("type") == "Container":
                found |= {f"{what}_limit" for what in limit.get("default") or {}}
                found |= {f"{what}_request" for what in limit.get("defaultRequest") or {}}
                found |= {f"{what}_request" for what in limit.get("default") or {}}
    return found


def _plain(amount: Decimal, key: str) -> str:
    if "memory" in key:
        return f"{amount / 1024**3:.3g}Gi"
    return f"{amount.normalize():f}"
