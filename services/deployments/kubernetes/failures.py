"""What the API server refused, in words: whose right is missing, what is not installed, who was quicker."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.errors import DecantError, Forbidden, Rejected, Unavailable

PART = "The cluster"
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
_OWNER = re.compile(r'conflict with "(?P<manager>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Owned:
    """A field that another manager owns, as a refused server-side apply names it."""

    manager: str
    field: str


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the things that a refusal objects to; `field` may be empty."""

    field: str
    words: str


class ApiRefused(Rejected):
    """The API server's own error. `reason` is its CamelCase word (NotFound, Conflict, AlreadyExists, Invalid, ...)."""

    def __init__(
        self, status: int, words: str, reason: str, owned: Sequence[Owned] = (), causes: Sequence[Cause] = ()
    ) -> None:
        super().__init__(PART, status, words)
        self.reason, self.owned, self.causes = reason, tuple(owned), tuple(causes)


def failure(status: int, content: bytes, method: str, path: str) -> DecantError:
    """The error that an answer of 400 and above means.

    401 and 403 become Unavailable and Forbidden here, since nobody can do anything but tell; the rest is ApiRefused,
    which the engine reads in the light of what it wanted.
    """
    body = _status(content)
    words = str(body.get("message") or content.decode(errors="replace")[:300] or "no reason given")
    if status == 401:
        return Unavailable(
            PART,
            "expired, or made for another cluster",
            "Sign in again with the cluster's own tool, or renew the token in the kubeconfig; Decant reads it anew.",
            does="does not accept our credentials",
        )
    if status == 403:
        return _forbidden(words, str((body.get("details") or {}).get("name") or ""), method, path)
    causes = (body.get("details") or {}).get("causes") or []
    owned = [
        Owned(found["manager"], str(cause.get("field", "")).lstrip("."))
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict" and (found := _OWNER.search(str(cause.get("message", ""))))
    ]
    told = [Cause(str(cause.get("field", "")), str(cause["message"])) for cause in causes if cause.get("message")]
    return ApiRefused(status, words, str(body.get("reason", "")), owned, told)


def says_itself(content: bytes) -> bool:
    """Whether the API server speaks in an answer, and not what it passed the request on to."""
    return _status(content).get("kind") == "Status"


def _forbidden(words: str, name: str, method: str, path: str) -> Forbidden:
    """`name` is that of the object that was meant, as the refusal gives it; empty where it names none."""
    found = _FORBIDDEN.search(words)
    if found is None:
        return Forbidden(f"The cluster refused {method} {path}: {words}", "Ask who runs the cluster for that right.")
    user, verb, resource, group, namespace = found.group("user", "verb", "resource", "group", "namespace")
    if verb == "impersonate" and name:
        return _not_for(name, user, resource)
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    plural = f"{resource}.{group}" if group else resource
    scope, kind = (f"-n {namespace} ", "role") if namespace else ("", "clusterrole")
    return Forbidden(
        f"The cluster does not let {user} {verb} {plural} {where}.",
        "Whoever runs it can allow that: "
        f"`kubectl create {kind} decant-{verb}-{resource.split('/')[0]} {scope}--verb={verb} --resource={plural}`, and "
        f"`kubectl create {kind}binding` of the same name for {user}. "
        "manifests/decant/rights gives all that Decant needs.",
    )


def _not_for(person: str, user: str, resource: str) -> Forbidden:
    """Impersonation is given person by person: without names it is a right over everybody, the cluster's parts too."""
    return Forbidden(
        f"The cluster does not let {user} act for {person} (impersonate).",
        f"Whoever runs it adds {person} to resourceNames of the ClusterRole decant-impersonate "
        "(manifests/decant/components/sign-in); or `kubectl create clusterrole NAME --verb=impersonate "
        f"--resource={resource} --resource-name={shlex.quote(person)}`, and `kubectl create clusterrolebinding` of "
        f"that name for {user}. Never without the name: that would be a right over everybody.",
    )


def _status(content: bytes) -> dict[str, Any]:
    """The Status object in a refusal, or nothing where a proxy answered with a page of its own."""
    try:
        parsed = json.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
