"""Which cluster, and what of it Decant may use."""

from __future__ import annotations

from dataclasses import dataclass

from services.deployments.kubernetes.routes import Ingress


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How to reach and use a cluster.

    Attributes:
        kubeconfig: path of a kubeconfig; empty: `KUBECONFIG`, `~/.kube/config`, or the pod's own service account.
        context: a context of the kubeconfig; empty: the current one.
        namespaces: those that may be used; empty: all.
        ingress: whose routes say which split is in force.
        ingress_url: address of the ingress as seen from here; predictions through the split go there.
        impersonate: whether changes are made with the rights of the person who asks for them.
    """

    kubeconfig: str = ""
    context: str = ""
    namespaces: tuple[str, ...] = ()
    ingress: Ingress = "istio"
    ingress_url: str = ""
    impersonate: bool = False
