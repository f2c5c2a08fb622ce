"""What the container images hold: the tree that the Dockerfile copies, laid out for a test without a Docker engine."""

from __future__ import annotations

import shutil
from pathlib import Path

from services.settings import ROOT


def copied() -> list[tuple[str, str]]:
    """(source, target) of what the Dockerfile copies from the checkout into the working folder of the images."""
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines()]
    pairs = [(words[1], words[2]) for words in lines if words[:1] == ["COPY"] and not words[1].startswith("--")]
    return [(source, target) for source, target in pairs if not target.startswith("/")]


def lay_out(folder: Path) -> Path:
    """Make `folder` hold what the images' working folder holds."""
    for source, target in copied():
        there = folder / target
        there.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, there)
    return folder
