"""What Decant's account, or the person it stands for, may do in a namespace: asked of the cluster itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.seldon import GROUP, PLURAL
from services.domain import RIGHTS, Finding, Severity

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource; `what_for` ends the sentence "without it ...".

    `role` is the one of manifests/decant/rights that gives it.
    """

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    what_for: str = ""
    role: str = "decant-dashboard"

    @property
    def plural(self) -> str:
        """As `kubectl create role` names it."""
        name = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{name}/{self.subresource}" if self.subresource else name


SEES = (
    Right("list", "pods", what_for="nobody sees how the pods come up"),
    Right("list", "deployments", "apps", what_for="rollouts are told by their pods alone"),
    Right("get", "pods", subresource="log", what_for="nobody reads their logs"),
    Right("list", "events", what_for="nobody sees why a pod does not come up"),
)
_PAST = "no request from outside the cluster reaches an arm past the split"
OUTSIDE = Right("create", "services", subresource="proxy", what_for=_PAST, role="decant-outside")
ASKS = Right("get", "services", subresource="proxy", what_for="no V2 model says what it takes", role="decant-outside")
"""These only where the arms' Services have no address; what a model takes is always asked as Decant itself."""


def findings(cluster: Cluster, namespace: str, *, exists: bool, person: str, v2: bool) -> Iterator[Finding]:
    """Ask for every right that applying and watching a deployment takes.

    Args:
        exists: whether it is there already (then it is patched, not created).
        person: whose rights a change is made and a request is sent with; empty: those of Decant's own account.
        v2: whether its models are asked what they take.
    """
    writes = Right("patch" if exists else "create", PLURAL, GROUP, role="decant-lead")
    asked = [(writes, person), *((right, "") for right in SEES)]
    if not cluster.inside:
        asked += [(OUTSIDE, person), *([(ASKS, "")] if v2 else [])]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda pair: allowed(cluster, namespace, *pair), asked))
    missing = [pair for pair, may in zip(asked, answers, strict=True) if not may]
    for right, whose in missing:
        who = f"{whose} may" if whose else "Decant's account may"
        without = "it cannot be applied" if right is writes else right.what_for
        yield Finding(
            Severity.BLOCKS if right is writes else Severity.WARNS,
            RIGHTS,
            f"{who} not {right.verb} {right.plural} in namespace {namespace}: {without}.",
            f"Bind the Role {right.role} of manifests/decant/rights; or `kubectl create role "
            f"decant-{right.verb}-{right.resource} -n {namespace} --verb={right.verb} --resource={right.plural}`, "
            "and a rolebinding of that name.",
        )
    if not missing:
        yield Finding(Severity.FINE, RIGHTS, f"The rights in namespace {namespace} suffice.")


def allowed(cluster: Cluster, namespace: str, right: Right, person: str = "") -> bool:
    """One question to the API server, which answers as it would judge the call itself."""
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.send("POST", REVIEWS, body, as_user=person)
    return bool((answer.get("status") or {}).get("allowed"))
