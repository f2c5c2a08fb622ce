"""What was wrong with a run filter or sort order, in words a person can act on. Pure text, no MLflow."""

from __future__ import annotations

import re

from services.errors import InvalidInput

EXAMPLE = "metrics.rmse < 0.82 AND params.alpha = '0.5'"
_ATTRIBUTES = "run_id, run_name, status, start_time, end_time, user_id, artifact_uri, created"
_COMPARATORS = "=, !=, LIKE, ILIKE, IS NULL, IS NOT NULL"


def explain_filter(text: str, complaint: str) -> InvalidInput:
    """The error for a filter that MLflow refused with `complaint`."""
    return InvalidInput(
        f"The filter “{text}” cannot be used: {_meaning(text, complaint)}.", f"A filter looks like this: {EXAMPLE}"
    )


def explain_order(text: str, complaint: str) -> InvalidInput:
    """The error for a sort order that MLflow refused with `complaint`."""
    key = re.search(r"Invalid attribute key '(.+?)'", complaint)
    if key:
        said = f"“{key.group(1)}” is not an attribute of a run; write metrics.{key.group(1)} for a metric"
    else:
        said = _lower(complaint)
    return InvalidInput(
        f"The order “{text}” cannot be used: {said}.", "An order looks like this: metrics.rmse ASC, or start_time DESC."
    )


def _meaning(text: str, complaint: str) -> str:
    if re.search(r"\bor\b", text, re.IGNORECASE) and "clause" in complaint:
        return "filters know AND but not OR"
    found = re.search(r"Invalid attribute key '(.+?)'", complaint)
    if found:
        key = found.group(1)
        return (
            f"“{key}” is not an attribute of a run ({_ATTRIBUTES}); "
            f"write metrics.{key}, params.{key} or tags.{key} for one of those"
        )
    found = re.search(r"Invalid entity type '(.+?)'", complaint)
    if found:
        return (
            f"“{found.group(1)}” is unknown; a name starts with metrics, params, tags, attributes or datasets and a dot"
        )
    found = re.search(r"Invalid comparator '(.+?)'", complaint)
    if found:
        return f"{found.group(1)} does not work on text; use one of {_COMPARATORS}"
    if "quoted" in complaint:
        value = re.search(r"Got value (\S+)", complaint) or re.search(r"for string value (\S+)\. Use", complaint)
        shown = value.group(1) if value else "value"
        return f"parameters, tags and attributes are text, so the value needs quotes: '{shown}'"
    if "numeric value type" in complaint:
        found = re.search(r"Found (.+)$", complaint)
        return f"a number is needed there, without quotes{f', not {found.group(1)}' if found else ''}"
    found = re.search(r"Invalid clause\(s\) in filter string: (.+)", complaint)
    if found:
        return f"this part is not a comparison: {found.group(1)}"
    return _lower(complaint)


def _lower(complaint: str) -> str:
    words = complaint.strip().rstrip(".")
    return words[:1].lower() + words[1:]
