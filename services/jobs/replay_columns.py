"""Which columns of its dataset a replay sends: those that the models of its arms name in their signatures.

A model server may refuse a row for a column that it does not know, so an id or a note in the file would fail every row.
What is sent is decided when the replay is asked for, and kept with it: whoever sends a part of it later sends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from services.domain import Deployment
from services.errors import DecantError
from services.schema import Signature
from services.traffic.columns import sent_columns
from services.traffic.datasets import Dataset
from services.traffic.replay import ReplayMode, ReplaySpec

SignatureOf = Callable[[str], Signature]
"""The signature of the model with this address. Raises DecantError where it cannot be found."""


def arms_of(spec: ReplaySpec, deployment: Deployment) -> tuple[str, ...]:
    """The arms that its rows may reach: the pair, the one it is pinned to, or all that the split divides."""
    live = tuple(predictor.name for predictor in deployment.predictors if not predictor.shadow)
    return spec.arms or ((spec.predictor,) if spec.predictor else live)


def signatures_of(
    deployment: Deployment, arms: Sequence[str], signature_of: SignatureOf
) -> tuple[dict[str, Signature], DecantError | None]:
    """The signatures by arm, as far as the models can be found, and the last error where one cannot. NotFound."""
    found: dict[str, Signature] = {}
    trouble = None
    for predictor in [deployment.predictor(arm) for arm in arms]:
        try:
            found[predictor.name] = signature_of(predictor.model_uri)
        except DecantError as error:
            trouble = error
    return found, trouble


def with_columns(
    spec: ReplaySpec, deployment: Deployment, dataset: Dataset, signature_of: SignatureOf | None
) -> ReplaySpec:
    """The spec with the columns that its arms are sent. In pairs each arm gets what its own model names.

    Otherwise the split, or a gateway, may choose the arm, so one row is for all. A model that cannot be found gets what
    the others get.
    """
    if signature_of is None:
        return spec
    arms, features = arms_of(spec, deployment), dataset.features(spec.target)
    found, _ = signatures_of(deployment, arms, signature_of)
    columns = {"": sent_columns(features, found.values())}
    if spec.mode is ReplayMode.PAIRED:
        columns |= {arm: sent_columns(features, [signature]) for arm, signature in found.items()}
    return replace(spec, columns=columns if any(len(c) < len(features) for c in columns.values()) else {})
