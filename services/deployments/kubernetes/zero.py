"""Shares of 0: said to reach nobody only where the ingress' own routes show it.

An ingress may drop a weight of 0 and divide equally instead (seldon-core issue 4067), so an arm that is meant to get
nothing would get half. Pure.
"""

from __future__ import annotations

from services.domain import Deployment, Split
from services.errors import InvalidInput

REMEDY = "Give it at least 1 %, or remove it, so that the other arm is alone."


def silenced(wanted: Deployment, present: Deployment | None) -> tuple[str, ...]:
    """The live arms that are to get nothing now and were not asked to get nothing before. Those without replicas count
    too: requests would still be sent to them."""
    if len(wanted.live) < 2:
        return ()
    before = present.split.as_dict() if present is not None else {}
    return tuple(name for name, share in wanted.split.shares if share == 0 and before.get(name) != 0)


def doubtful(deployment: Deployment, arms: tuple[str, ...], why: str) -> InvalidInput:
    """The refusal of a share of 0 that nobody could check."""
    return InvalidInput(
        f"{_named(arms)} of {deployment.key} would get 0 %, and nobody could see whether the ingress does that: {why}",
        REMEDY,
    )


def broken(deployment: Deployment, arms: tuple[str, ...], routed: Split | None, back: Split) -> InvalidInput:
    """What is said when the ingress did not honour it and the split is as it was."""
    what = f"it held {routed}" if routed is not None else "its routes did not say so in time"
    return InvalidInput(
        f"The ingress did not take {_named(arms)} of {deployment.key} to 0 %: {what}. The split is {back} again.",
        REMEDY,
    )


def leaking(deployment: Deployment, routed: Split | None) -> str:
    """A sentence for every live arm that is to get nothing and gets something; empty when there is none."""
    if routed is None:
        return ""
    shares = routed.as_dict()
    found = [(name, shares.get(name, 0)) for name, share in deployment.split.shares if share == 0]
    return " ".join(
        f"{name} is to get nothing, but the ingress sends it {share} %. {REMEDY}" for name, share in found if share
    )


def _named(arms: tuple[str, ...]) -> str:
    return " and ".join(arms)
