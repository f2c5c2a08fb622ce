"""Patches as an API server takes them: JSON Patch (RFC 6902: add, replace, remove, test), and an apply's overlay."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.kube_store import Object, Refusal

FAILED = Refusal(422, "Invalid", "the server rejected our request due to an error in our request")


def patched(present: Object, operations: Sequence[Mapping[str, Any]]) -> Object:
    """All operations done, or a Refusal: a real server gives the same sentence for a test that fails and a path that
    leads nowhere."""
    made = copy.deepcopy(present)
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent: Any = made
        try:
            for part in way:
                parent = parent[int(part) if isinstance(parent, list) else part]
            _operate(parent, last, operation)
        except (KeyError, IndexError, TypeError, ValueError):
            raise FAILED from None
    return made


def _operate(parent: Any, last: str, operation: Mapping[str, Any]) -> None:
    key: Any = (len(parent) if last == "-" else int(last)) if isinstance(parent, list) else last
    match operation["op"]:
        case "test":
            if parent[key] != operation["value"]:
                raise FAILED
        case "remove":
            del parent[key]
        case "add" if isinstance(parent, list):
            if not 0 <= key <= len(parent):
                raise FAILED
            parent.insert(key, copy.deepcopy(operation["value"]))
        case "add":
            parent[key] = copy.deepcopy(operation["value"])
        case "replace":
            parent[key]  # must be there
            parent[key] = copy.deepcopy(operation["value"])
        case other:
            raise Refusal(400, "BadRequest", f"this stand-in does not know the operation {other}")


def laid_over(present: Any, sent: Any) -> Any:
    """Objects merged field by field; everything else, lists too, is replaced by what was sent."""
    if not isinstance(present, dict) or not isinstance(sent, dict):
        return copy.deepcopy(sent)
    return {**present, **{key: laid_over(present.get(key), value) for key, value in sent.items()}}
