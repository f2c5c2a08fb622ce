"""The Engine protocol: the one interface behind which a laptop and a cluster look the same.

Every implementation passes tests/contract. Deployments go in and statuses come out; nobody outside an engine knows
whether a controller of ours or Seldon's operator does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.domain import (
    ArmOption,
    ChangeNote,
    Deployment,
    DeploymentStatus,
    Endpoint,
    Event,
    Finding,
    ModelFacts,
    Relay,
    Split,
    Startup,
)


class Engine(Protocol):
    """Runs deployments. All methods raise Unavailable when the engine itself cannot be reached."""

    @property
    def relay(self) -> Relay | None:
        """Passes requests to endpoints that have no address here (`Endpoint.through`); None where all have one."""
        ...

    @property
    def loads_unseen(self) -> bool:
        """Whether an arm at 0 % can load another model with the certainty that no request meets it meanwhile."""
        ...

    @property
    def arm_options(self) -> frozenset[ArmOption]:
        """What of an arm it makes use of; the rest it keeps as it is in the manifest."""
        ...

    def get(self, namespace: str, name: str) -> DeploymentStatus:
        """Raises NotFound."""
        ...

    def apply(
        self,
        deployment: Deployment,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
        dry_run: bool = False,
    ) -> DeploymentStatus:
        """Create or replace. `expected_version` None means "whatever is there, or nothing"; "" means "must be new".

        Raises InvalidDeployment, InvalidName, and Conflict if the live version is another one.
        """
        ...

    def set_traffic(
        self,
        namespace: str,
        name: str,
        split: Split,
        *,
        note: ChangeNote,
        expected_version: str | None = None,
    ) -> DeploymentStatus:
        """Move the split and nothing else: no process restarts. Returns once the gateway has it in force, or, when an
        arm without traffic is not ready to take its share, once it is kept for then (`message` says so).

        Raises NotFound, InvalidDeployment, Conflict, and Unavailable if the gateway does not confirm in time
        (the request stays: it comes into force when the gateway is back). Raises InvalidInput, with the split as it
        was, if an arm is to get nothing and the gateway does not honour that or nobody could see whether it does.
        """
        ...

    def delete(self, namespace: str, name: str, *, note: ChangeNote) -> None:
        """Drain and remove. Raises NotFound."""
        ...

    def endpoint(self, namespace: str, name: str, predictor: str | None = None) -> Endpoint:
        """Where to send requests: through the split, or pinned to `predictor`. Raises NotFound.

        Feedback goes to the endpoint of the predictor that answered; through the split it may be divided again.
        """
        ...

    def logs(self, namespace: str, name: str, predictor: str, tail: int = 100) -> list[str]:
        """The last lines of the predictor's model servers, newest last. Raises NotFound."""
        ...

    def events(self, namespace: str, name: str) -> list[Event]:
        """What happened to the deployment, oldest first."""
        ...

    def startup(self, namespace: str, name: str, predictor: str) -> Startup:
        """How far the predictor is on its way up, and what is known of why it does not get there. Raises NotFound."""
        ...

    def preflight(
        self, deployment: Deployment, models: Mapping[str, ModelFacts], *, note: ChangeNote
    ) -> Sequence[Finding]:
        """What would keep the deployment from working on this engine, as far as that can be seen; changes nothing.

        `models` has what is known of the models, by predictor. Problems that `preview` raises are not repeated.
        """
        ...

    def preview(self, deployment: Deployment, *, note: ChangeNote) -> str:
        """The manifest that `apply` would write, as YAML. Raises like `apply`, but for Foreign: it changes nothing."""
        ...

    def manifest(self, namespace: str, name: str) -> str:
        """The manifest as it is live, in the form of `preview`. Raises NotFound."""
        ...

    # Last, because from here on the name `list` means this method.
    def list(self, namespace: str | None = None) -> list[DeploymentStatus]:
        """Every deployment, sorted by namespace and name."""
        ...
