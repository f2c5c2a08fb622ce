"""How the history writes down what was there: a manifest, a split, or nothing; and reads it again. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from services.deployments.manifest import STAMPS, from_manifest, from_yaml, to_manifest, to_yaml
from services.domain import Deployment, DeploymentStatus, Split
from services.errors import InvalidInput

NOTHING = ""
"""The text of a deployment that does not exist."""

_SPLIT_TEXT = re.compile(r"[a-z0-9-]+=\d+(,[a-z0-9-]+=\d+)*")


def split_text(split: Split) -> str:
    """A split as the history and the ledger write it: `a=80,b=20`."""
    return split.text


@lru_cache(maxsize=1024)  # every block of the ledger has one, and thousands have the same
def read_split(text: str) -> Split | None:
    """The split that `split_text` wrote, or None if the text is something else."""
    if not _SPLIT_TEXT.fullmatch(text):
        return None
    return Split.of((name, int(percent)) for name, percent in (part.split("=") for part in text.split(",")))


def split_of(text: str) -> Split | None:
    """The split of what a text of the history stands for; None for a deployment that was not there.

    Raises InvalidInput if it cannot be read.
    """
    if text == NOTHING:
        return None
    split = read_split(text)
    return split if split is not None else from_yaml(text).split


def manifest_text(deployment: Deployment) -> str:
    """The manifest without the stamps of who changed it when: equal texts mean equal deployments."""
    kept = tuple((key, value) for key, value in deployment.annotations if key not in STAMPS)
    # There and back, because reading fills in what an author may leave out (node names, a lone predictor's 100 %).
    return to_yaml(to_manifest(from_manifest(to_manifest(replace(deployment, annotations=kept)))))


def stands(text: str, status: DeploymentStatus | None) -> bool:
    """Whether the world is as `text` (a manifest, a split or NOTHING) says."""
    if status is None or text == NOTHING:
        return status is None and text == NOTHING
    split = read_split(text)
    if split is not None:
        return status.requested.as_dict() == split.as_dict()
    try:
        return manifest_text(from_yaml(text)) == manifest_text(status.deployment)
    except InvalidInput:
        return False
