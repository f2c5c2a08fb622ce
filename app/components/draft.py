"""A deployment as somebody is about to change it: from the form's fields to the value that is applied. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from services.domain import Deployment, Predictor, Resources

if TYPE_CHECKING:
    from services.tracking.models import ModelRef

FIRST, SECOND, SHADOW = "a", "b", "c"
ALL = 100  # percent


@dataclass(frozen=True)
class Extras:
    """What an arm is given beside its model, its replicas and its traffic; see `Predictor` for the fields."""

    env_secret: str = ""
    start_budget_s: int | None = None
    resources: Resources = field(default_factory=Resources)

    @classmethod
    def of(cls, present: Predictor | None) -> Self:
        """As the arm has it; nothing for an arm that is to be made."""
        return cls() if present is None else cls(present.env_secret, present.start_budget_s, present.resources)

    def problems(self, arm: str) -> list[str]:
        """Every reason for which an arm of this name could not be given these, each as a sentence."""
        found = self.on(Predictor(arm, "any")).problems()
        return [f"{problem[:1].upper()}{problem[1:]}." for problem in found]

    def on(self, predictor: Predictor) -> Predictor:
        """The predictor with these."""
        return replace(
            predictor, env_secret=self.env_secret, start_budget_s=self.start_budget_s, resources=self.resources
        )


@dataclass(frozen=True)
class ArmDraft:
    """The fields of one arm. `model` and `extras` None: what is live there stays."""

    name: str
    replicas: int
    model: ModelRef | None = None
    extras: Extras | None = None


@dataclass(frozen=True)
class Arms:
    """The arms of a live deployment by the form's slots; further live arms are left alone."""

    first: Predictor | None = None
    second: Predictor | None = None
    shadow: Predictor | None = None
    others: tuple[Predictor, ...] = ()


def arms_of(deployment: Deployment | None) -> Arms:
    if deployment is None:
        return Arms()
    live = deployment.live
    return Arms(
        first=live[0] if live else None,
        second=live[1] if len(live) > 1 else None,
        shadow=next((p for p in deployment.predictors if p.shadow), None),
        others=live[2:],
    )


def arm_name(present: Predictor | None, wanted: str, taken: set[str]) -> str:
    """The name of a slot: what it is called already, else `wanted`, made different from the names in use."""
    if present is not None:
        return present.name
    name, n = wanted, 2
    while name in taken:
        name, n = f"{wanted}{n}", n + 1
    return name


def compose(
    namespace: str,
    name: str,
    base: Deployment | None,
    first: ArmDraft,
    second: ArmDraft | None,
    shadow: ArmDraft | None,
    share: int | None,
) -> Deployment:
    """The deployment that the form describes.

    `share` is the percentage of the second arm, and A gets the rest; None keeps the split as it is live. Whether the
    result is valid is for `Deployment.validated` and the engine to say.
    """
    present = arms_of(base)
    predictors = [_predictor(first, present.first)]
    if second is not None:
        predictors.append(_predictor(second, present.second))
    if share is not None or len(predictors) == 1:
        given = 0 if share is None else share
        shares = [100 - given, given] if len(predictors) > 1 else [100]
        predictors = [replace(p, traffic=t) for p, t in zip(predictors, shares, strict=True)]
    predictors += present.others
    if shadow is not None:
        copied = present.shadow.traffic if present.shadow else ALL  # of a shadow: the share of requests it gets to see
        predictors.append(replace(_predictor(shadow, present.shadow), shadow=True, traffic=copied))
    kept = base or Deployment(namespace, name, ())
    return replace(kept, namespace=namespace, name=name, predictors=tuple(predictors))


def _predictor(arm: ArmDraft, present: Predictor | None) -> Predictor:
    kept = present or Predictor(arm.name, "")
    if arm.extras is not None:
        kept = arm.extras.on(kept)
    if arm.model is None:
        return replace(kept, replicas=arm.replicas)
    return replace(
        kept,
        model_uri=arm.model.uri,
        provenance=arm.model.provenance,
        parameters=arm.model.parameters,
        replicas=arm.replicas,
    )


def diff(before: str, after: str) -> str:
    """The unified diff of two manifests; empty when they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "live", "wanted", lineterm="", n=3)
    return "\n".join(lines)
