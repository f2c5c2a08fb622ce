"""Where to send a request, and how one may tell which arm answered it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.domain.deployment import Split

SELDON = "seldon"
"""Seldon's own protocol, version 1: predictions and feedback."""

V2 = "v2"
"""The Open Inference Protocol, as MLServer speaks it: predictions only."""


@dataclass(frozen=True, slots=True)
class ProxiedService:
    """A Service that is reached through the API server's service proxy, because it has no address outside."""

    namespace: str
    name: str
    port: int

    @property
    def path(self) -> str:
        """Where the API server passes requests on to it."""
        return f"/api/v1/namespaces/{self.namespace}/services/{self.name}:{self.port}/proxy"


@dataclass(frozen=True, slots=True)
class Arm:
    """One live predictor, seen from an endpoint of the split.

    Attributes:
        share: its part of the split in force, in percent.
        endpoint: how to reach it past the split.
        node: what its answers are signed with: the name of its graph node.
        service: the name of its own Service; empty where it has none.
    """

    predictor: str
    share: int
    endpoint: Endpoint
    node: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send requests: a base URL without trailing slash (paths start at /api or /v2). It holds no secret.

    Attributes:
        headers: to add to each request.
        protocol: SELDON or V2.
        model: what a V2 path calls the model.
        predictor: the arm it leads to; empty: the split chooses.
        arms: those behind a split, where the engine says; answers are told apart by them.
        drawn: Decant itself draws one of `arms` for each request, by their shares; `url` is empty then.
        through: the Service to which the API server passes the request on; None: `url` is reached directly.
        note: what a person should know about this way, in a sentence; empty where there is nothing to say.
        part: what answers here, as errors name it.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    protocol: str = SELDON
    model: str = ""
    predictor: str = ""
    arms: tuple[Arm, ...] = ()
    drawn: bool = False
    through: ProxiedService | None = None
    note: str = ""
    part: str = "The gateway"

    @property
    def feeds(self) -> bool:
        """Whether its protocol has feedback: V2 has none, and its rewards live in the ledger."""
        return self.protocol != V2

    @property
    def relayed(self) -> bool:
        """Whether requests pass the API server on their way."""
        return self.through is not None or (self.drawn and any(arm.endpoint.through for arm in self.arms))

    @property
    def split(self) -> Split | None:
        """The shares by which arms are drawn here; None where somebody else divides the traffic."""
        return Split.of((arm.predictor, arm.share) for arm in self.arms) if self.drawn else None

    @property
    def address(self) -> str:
        """For people: the URL, or those of the arms among which requests are divided."""
        return self.url or ", ".join(f"{arm.predictor}: {arm.endpoint.url}" for arm in self.arms)

    def chosen(self) -> Endpoint:
        """Where the next request goes: here, or to an arm drawn by its share of the split."""
        if not self.drawn:
            return self
        weights = [arm.share for arm in self.arms]
        return random.choices(self.arms, weights if any(weights) else None)[0].endpoint


class Relayed(NamedTuple):
    """An answer that came through the API server, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Relay(Protocol):
    """Passes requests to Services through the API server. Thread-safe."""

    def __call__(
        self,
        service: ProxiedService,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Relayed:
        """POST `body` to `path` of the Service; GET where there is no body.

        Raises:
            Forbidden: the API server does not let us use its proxy, or the person for whom we ask.
            Unavailable: the API server does not answer.
        """
        ...

    def for_person(self, who: str) -> Relay:
        """The same way with the rights of `who`, where the cluster decides by persons; "": with Decant's own."""
        ...
