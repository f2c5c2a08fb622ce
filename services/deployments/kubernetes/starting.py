"""A predictor's way up, read from its newest pod, the events about it and its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.deployments.kubernetes.pods import PodView, view
from services.deployments.kubernetes.roles import Part, Role, parts_of
from services.deployments.kubernetes.stamped import Stamped
from services.deployments.kubernetes.start_steps import steps_of
from services.domain import Phase, Startup
from services.startup.catalogue import BESIDE, CATALOGUE
from services.startup.recognise import Traces, recognise

Object = Mapping[str, Any]

SELDON_BUDGET_S = 75
"""What Seldon's own liveness probe allows: 60 s of delay and three failures 5 s apart."""
BUDGETS_S = (1200, 2400, 3600, 7200)
"""Start budgets to propose: an environment takes minutes to build, and a build that is cut short begins anew."""
GIVEN_UP = "Seldon's operator gave it up"
_MOUNT = re.compile(r"MountVolume\.SetUp failed")
_ABSENT_SECRET = re.compile(r'^secret "([^"]+)" not found')
_OF_CONTAINER = re.compile(r"^\w+: ([\w.-]+): |\bcontainer (\S+) failed (?:liveness|startup) probe", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of one predictor.

    Attributes:
        pods: the newest, or none.
        events: messages of events about it.
        log: that of the container which it waits for or which fails.
        refused: what keeps pods from being made, as its Deployment says it; empty: nothing.
        stuck: that its Deployment calls the rollout given up; empty: it does not.
        given_up: why Seldon's operator gave the predictor up; empty: it did not.
        secret: the Secret by which its model is to be fetched; empty: none is named.
    """

    pods: Sequence[Object]
    events: Sequence[str]
    log: Sequence[Stamped]
    refused: str = ""
    stuck: str = ""
    secret: str = ""
    given_up: str = ""


def startup_of(predictor: str, seen: Seen, *, ready: bool, budget_s: float | None) -> Startup:
    """The steps and, while it is not ready, the diagnosis.

    Args:
        ready: whether Seldon's operator counts the predictor as available.
        budget_s: seconds that its probes allow; None for Seldon's own.
    """
    pod = newest(seen.pods)
    allowed_s = SELDON_BUDGET_S if budget_s is None else budget_s
    diagnosis = None
    if not ready:
        larger_s = next((b for b in BUDGETS_S if b > allowed_s), None)
        # Remedies for the model's container, such as more time or memory, do not reach the others.
        known = CATALOGUE if _concerns_model(pod) else BESIDE
        diagnosis = recognise(_traces(seen, pod), larger_budget_s=larger_s, known=known)
    steps = steps_of(pod, seen.log, failed=diagnosis is not None or bool(seen.stuck))
    return Startup(predictor, steps, diagnosis, tuple(line.text for line in seen.log), allowed_s)


def newest(pods: Iterable[Object]) -> Object | None:
    """The pod that was made last: of two while one replaces the other, the one that has to come up."""
    return max(pods, key=lambda p: str((p.get("metadata") or {}).get("creationTimestamp", "")), default=None)


def _concerns_model(pod: Object | None) -> bool:
    """Whether what keeps the pod is the model, its download, or the pod as a whole; else it is another container."""
    if pod is None:
        return True
    held_by, models = view(pod).held_by, [part for part in parts_of(pod) if part.role is Role.MODEL]
    if held_by is not None:
        return held_by.own
    return not models or any(not part.status.get("ready") for part in models)


def _traces(seen: Seen, pod: Object | None) -> Traces:
    given_up = f"{GIVEN_UP}: {seen.given_up}" if seen.given_up else ""
    conditions = [said for said in (seen.refused, seen.stuck, given_up) if said]
    if pod is None:
        return Traces(events=seen.events, conditions=conditions)
    found, parts = view(pod), parts_of(pod)
    # A container that holds the pod and is not the model's is the only one to speak, else the model's own are.
    beside = found.held_by if found.held_by and not found.held_by.own else None
    telling = [beside] if beside else [part for part in parts if part.own]
    # A start that goes well logs warnings too: a log is evidence only once something has failed.
    failed = bool(found.crashed) or found.phase is Phase.FAILED
    return Traces(
        log=[*(line.text for line in seen.log), *_last_words(telling)] if failed else (),
        states=[*_states(pod, found), *(line for part in telling for line in _lines(part))],
        events=list(_events(seen.events, parts, telling)),
        conditions=conditions,
        store_secrets={seen.secret, *_store_secrets(pod, parts)},
    )


def _store_secrets(pod: Object, parts: Sequence[Part]) -> Iterator[str]:
    """The Secrets that the model's initialisers want: by the pod, or by what they complain about."""
    downloads = {part.name: part for part in parts if part.role is Role.DOWNLOAD}
    for one in (pod.get("spec") or {}).get("initContainers") or []:
        if one.get("name") in downloads:
            yield from (str((source.get("secretRef") or {}).get("name", "")) for source in one.get("envFrom") or [])
    for part in downloads.values():
        said = str(((part.status.get("state") or {}).get("waiting") or {}).get("message", ""))
        yield from _ABSENT_SECRET.findall(said)


def _events(events: Iterable[str], parts: Sequence[Part], telling: Sequence[Part]) -> Iterator[str]:
    """Without those about other containers, and without what failed to be mounted before any container began."""
    begun, others = any(part.begun for part in parts), {part.name for part in parts if part not in telling}
    for said in events:
        named = _OF_CONTAINER.search(said)
        if named and (named[1] or named[2]) in others:
            continue
        if not (begun and _MOUNT.search(said)):
            yield said


def _states(pod: Object, found: PodView) -> Iterator[str]:
    """The pod as a whole, each in a line as the catalogue of failures expects it."""
    status = pod.get("status") or {}
    yield found.reason
    yield ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))


def _last_words(parts: Sequence[Part]) -> Iterator[str]:
    """What containers left as their termination message: the end of a log that may be gone, or a log of its own."""
    for part in parts:
        for when in ("lastState", "state"):
            ended = (part.status.get(when) or {}).get("terminated") or {}
            yield from str(ended.get("message") or "").splitlines() if ended.get("exitCode") else ()


def _lines(part: Part) -> Iterator[str]:
    """One container, likewise."""
    for when in ("lastState", "state"):
        for kind, said in (part.status.get(when) or {}).items():
            words = f"{part.kind} {part.name} {kind} {said.get('reason', '')}"
            code = said.get("exitCode")
            words += f" exit code {code}" if code else ""
            yield f"{words}: {said['message']}" if said.get("message") else words
