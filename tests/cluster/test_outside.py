"""What kubectl changes on a real API server is in Decant's history, with kubectl's name and the API server's time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from services.deployments.kubernetes.cluster import JSON_PATCH
from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.seldon import item
from services.domain import Change, ChangeNote, Deployment, Predictor, Split
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.operations import Operations
from services.outside import OUTSIDE, OutsideChanges
from tests.support.api_server import TestCluster
from tests.support.operator import StatusOperator
from tests.support.waiting import wait_until

KUBECTL = "kubectl-patch"


def patch(cluster: TestCluster, namespace: str, a: int) -> None:
    """As `kubectl patch sdep wine --type=json` does it."""
    body = [
        {"op": "replace", "path": f"/spec/predictors/{place}/traffic", "value": value}
        for place, value in enumerate((a, 100 - a))
    ]
    path, query = item(namespace, "wine"), {"fieldManager": KUBECTL}
    cluster.admin.send("PATCH", path, body, content_type=JSON_PATCH, query=query)


def test_kubectls_moves_between_ours_are_told_in_their_order(
    engine: KubernetesEngine, cluster: TestCluster, operator: StatusOperator, namespace: str, tmp_path: Path
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    store = EvidenceStore(database)
    operations, outside = Operations(engine, store), OutsideChanges(engine, store)
    arms = (Predictor("a", "s3://models/a", traffic=80), Predictor("b", "s3://models/b", traffic=20))
    operations.apply(Deployment(namespace, "wine", arms), note=ChangeNote("ada", "a try"))
    wait_until(lambda: engine.get(namespace, "wine").settled, timeout_s=30, what="the deployment to settle")
    assert outside.look() == []

    def told(a: int) -> Change:
        patch(cluster, namespace, a)
        (change,) = wait_until(outside.look, what="kubectl's change to be told")
        return change

    first = told(30)
    assert (first.who, first.what, first.before, first.after) == (KUBECTL, OUTSIDE, "a=80,b=20", "a=30,b=70")
    second = told(40)
    assert (second.before, second.after) == ("a=30,b=70", "a=40,b=60")
    over = ChangeNote("ada", "back", take_over=True)
    operations.set_traffic(namespace, "wine", Split.of({"a": 80, "b": 20}), note=over)
    third = told(10)
    assert (third.before, third.after) == ("a=80,b=20", "a=10,b=90")
    operations.undo(namespace, "wine", note=over)
    assert engine.get(namespace, "wine").requested == Split.of({"a": 80, "b": 20})
    assert outside.look() + outside.look() == []
    whats = [change.what for change in store.changes(namespace, "wine")][::-1]
    assert whats == ["apply", OUTSIDE, OUTSIDE, "split", OUTSIDE, "undo"]
    assert abs(third.at - store.changes(namespace, "wine")[0].at) < timedelta(minutes=1), "in the same time as ours"
    database.dispose()
