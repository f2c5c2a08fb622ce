"""What a decision makes of a deployment. Pure.

The winner ends up as the only one of the two arms, with the traffic of both. Where the arms are called by their roles
(`a` and `b`) the winner takes the champion's name, so that the next test begins as this one did; an arm that a person
gave a name of its own keeps it.

Giving a model the champion's name means loading it there. Done in one go, the champion's old model would answer
everything until then, also when B had all the traffic already. So it takes two steps: at once all traffic goes to the
winner where it runs, while the champion's arm loads it without traffic; when that is ready it takes over and the other
arm ends. No request ever goes back to the loser. Where an arm at 0 % is not certain to be left alone (`unseen` is
False, see Engine.loads_unseen) the winner stays where it runs, alone, and keeps its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.decisions.model import Kind
from services.domain import Deployment, Predictor
from services.errors import InvalidInput

ROLES = (("a", "b"), ("champion", "challenger"))
"""Pairs of arm names that say which role an arm has rather than which model it runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """The deployment to begin with (None: as it is), and to end with (None: as it began).

    `arm` is the arm that serves the winner in the end.
    """

    first: Deployment | None
    last: Deployment | None
    arm: str


def target(deployment: Deployment, kind: Kind, champion: str, challenger: str, *, unseen: bool = True) -> Target:
    """`unseen`: an arm at 0 % may load a model with no request meeting it. Raises NotFound if an arm is gone,
    InvalidInput if the champion is a shadow."""
    a, b = deployment.predictor(champion), deployment.predictor(challenger)
    if a.shadow:
        raise InvalidInput(f"{champion} is a shadow, and a shadow cannot be the champion.", "Give it a share first.")
    share = a.traffic + (0 if b.shadow else b.traffic)
    if kind is Kind.END:
        return Target(None, None, champion)
    if kind is Kind.KEEP:
        return Target(_with(deployment, {champion: replace(a, traffic=share), challenger: None}), None, champion)
    strong = replace(b, traffic=share, shadow=False, replicas=max(a.replicas, b.replicas))
    if (champion, challenger) not in ROLES or not unseen:
        return Target(_with(deployment, {champion: None, challenger: strong}), None, challenger)
    crowned = replace(strong, name=champion, node=a.node)
    first = _with(deployment, {champion: replace(crowned, traffic=0), challenger: strong})
    return Target(first, _with(deployment, {champion: crowned, challenger: None}), champion)


def _with(deployment: Deployment, arms: dict[str, Predictor | None]) -> Deployment:
    """The deployment with some arms exchanged, or left out where None; the others stay as they are."""
    made = (arms.get(p.name, p) for p in deployment.predictors)
    return replace(deployment, predictors=tuple(p for p in made if p is not None))
