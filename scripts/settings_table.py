"""Print the table of docs/settings.md from the settings themselves; `--write` puts it into the page.

A test runs the same code, so the page cannot fall behind.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le

from services.settings import ROOT, Settings

PAGE = ROOT / "docs" / "settings.md"
MARKER = "<!-- made by `python -m scripts.settings_table --write` -->"


def table() -> str:
    """One row per setting: variable, default, allowed values, meaning."""
    lines = ["| variable | default | allowed | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "your login name" if field.default_factory else _default(field.default)
        lines.append(f"| `DECANT_{name.upper()}` | {default} | {_allowed(field)} | {field.description} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    if isinstance(value, Path):
        value = value.relative_to(ROOT)
    text = str(value)  # a secret's is empty too
    return f"`{text}`" if text not in ("", "None") else ""


def _allowed(field: Any) -> str:
    choices = getattr(field.annotation, "__args__", None)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    low: Any = ""
    high: Any = ""
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = f"{rule.ge:g}"
        elif isinstance(rule, Gt):
            low = f"above {rule.gt:g}"
        elif isinstance(rule, Le):
            high = f"{rule.le:g}"
    if low and high:
        return f"{low} to {high}"
    if low:
        return low if low.startswith("above") else f"{low} or more"
    return {int: "whole number", float: "number", Path: "path"}.get(field.annotation, "text")


def main() -> None:
    """Print, or with --write replace what follows the marker in the page."""
    if "--write" in sys.argv[1:]:
        PAGE.write_text(f"{PAGE.read_text().split(MARKER)[0]}{MARKER}\n{table()}\n")
    else:
        print(table())


if __name__ == "__main__":
    main()
