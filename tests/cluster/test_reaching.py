"""From outside a cluster: requests and feedback through the API server's proxy to the arms' own Services.

A real kube-apiserver proxies to real HTTP servers. It refuses Endpoints on loopback addresses, so they run on a host of
their own: a network namespace that only this machine reaches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.deployments.kubernetes.engine import KubernetesEngine
from services.deployments.kubernetes.seldon import SERVICE_PORT, core, service_name
from services.domain import V2, ChangeNote, Deployment, Endpoint, OutcomeStatus, Predictor
from services.errors import Forbidden, Rejected, Unavailable
from services.evidence.database import open_database
from services.evidence.store import EvidenceStore
from services.jobs.queue import open_queue
from services.jobs.replays import ReplayJobs
from services.jobs.states import JobState
from services.settings import Settings
from services.traffic.client import PredictionClient
from services.traffic.replay import ReplayPlan, ReplayRow, ReplaySpec, StopSignal
from services.traffic.replayer import run_replay
from services.traffic.rewards import Reward, RewardKind
from services.trials import Trial, try_row
from tests.support.api_server import TestCluster
from tests.support.network_host import NEEDS, network_host
from tests.support.operator import StatusOperator
from tests.support.replay_ledger import EngineLedger
from tests.support.seldon_arms import SeldonArms
from tests.support.waiting import wait_until

NOTE = ChangeNote("ada", "a test")
BOUNDED = Reward(RewardKind.BOUNDED)
ROWS = 300


@pytest.fixture
def arms() -> Iterator[SeldonArms]:
    with network_host() as host:
        if host is None:
            pytest.skip(f"An API server does not proxy to loopback. {NEEDS}")
        with SeldonArms(host=host.address, enter=host.enter) as found:
            yield found


@pytest.fixture
def outside(cluster: TestCluster, operator: StatusOperator, namespace: str) -> Iterator[KubernetesEngine]:
    """An engine with a kubeconfig and without an ingress."""
    found = KubernetesEngine(cluster.options(namespace, ingress_url=""))
    yield found
    found.close()


@pytest.fixture
def client(outside: KubernetesEngine) -> Iterator[PredictionClient]:
    found = PredictionClient(10, outside.relay)
    yield found
    found.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvidenceStore]:
    database = open_database(f"sqlite:///{tmp_path / 'evidence.db'}")
    yield EvidenceStore(database)
    database.dispose()


def lead(cluster: TestCluster, namespace: str, service: str, host: str, port: int) -> None:
    """A Service that leads to `host` and `port`, by way of a pod: the API server proxies to addresses of pods alone."""
    send, named = cluster.admin.send, {"name": service, "namespace": namespace}
    pod = {"metadata": named, "spec": {"containers": [{"name": "model", "image": "none"}]}}
    made = send("POST", core(namespace, "pods"), pod)
    made["status"] = {"phase": "Running", "podIP": host, "podIPs": [{"ip": host}]}
    send("PUT", f"{core(namespace, 'pods')}/{service}/status", made)
    ports = [{"name": "http", "port": SERVICE_PORT}]
    send("POST", core(namespace, "services"), {"metadata": named, "spec": {"ports": ports}})
    address = {"ip": host, "targetRef": {"kind": "Pod", **named}}
    subset = {"addresses": [address], "ports": [{"name": "http", "port": port}]}
    send("POST", core(namespace, "endpoints"), {"metadata": named, "subsets": [subset]})


def serve(cluster: TestCluster, engine: KubernetesEngine, namespace: str, arms: SeldonArms, protocol: str) -> None:
    """A deployment with a Service for each arm that leads to the real server of that arm."""
    predictors = tuple(Predictor(name, f"s3://m/{name}", share) for name, share in arms.weights.items())
    engine.apply(Deployment(namespace, "wine", predictors, protocol=protocol), note=NOTE)
    for name, arm in arms.arms.items():
        lead(cluster, namespace, service_name("wine", name), arms.host, arm.port)
    wait_until(lambda: engine.get(namespace, "wine").settled, what="the deployment to be ready")


def test_single_requests_and_their_feedback_reach_the_arm(
    cluster: TestCluster,
    outside: KubernetesEngine,
    namespace: str,
    arms: SeldonArms,
    client: PredictionClient,
    store: EvidenceStore,
) -> None:
    serve(cluster, outside, namespace, arms, "seldon")
    trial = Trial(namespace, "wine", (5.0,), ("x",), truth=5.0, reward=BOUNDED)
    pinned = try_row(outside, client, store, trial, ["a", "b"])
    assert [answer.error or answer.prediction.values for answer in pinned if answer.error or answer.prediction] == [
        (5.0,),
        (6.0,),
    ]
    assert arms.fed() == {"a": 0, "b": 0}, "past the split nothing is fed"

    answers = try_row(outside, client, store, trial, [None] * 30)
    assert all(answer.fed and answer.endpoint.through for answer in answers)
    assert arms.strayed() == 0 and sum(arms.fed().values()) == 30
    assert {o.segment for o in store.outcomes(namespace, "wine") if o.routed} == {"a=80,b=20"}


@pytest.mark.parametrize("protocol", ["seldon", V2])
def test_a_replay_through_the_proxy_attributes_every_row(
    cluster: TestCluster, outside: KubernetesEngine, namespace: str, arms: SeldonArms, protocol: str
) -> None:
    serve(cluster, outside, namespace, arms, protocol)
    hooks = EngineLedger(outside, namespace, "wine")
    rows = [ReplayRow(i, (float(i), "red"), float(i)) for i in range(ROWS)]
    plan = ReplayPlan(7, namespace, "wine", ("x", "colour"), rows, BOUNDED, patience_s=10.0)
    end = asyncio.run(run_replay(plan, hooks, StopSignal(), relay=outside.relay))
    assert (end.done, end.errors) == (ROWS, ())
    assert {o.status for o in hooks.outcomes.values()} == {OutcomeStatus.OK}
    by_arm = hooks.by_arm()
    assert by_arm == {name: len(arm.predicted) for name, arm in arms.arms.items()}
    assert abs(by_arm["b"] - 0.2 * ROWS) < 5 * (0.16 * ROWS) ** 0.5
    assert arms.fed() == (by_arm if protocol == "seldon" else {"a": 0, "b": 0})
    assert arms.strayed() == 0


def test_what_keeps_requests_from_passing_is_said_in_words(
    cluster: TestCluster, outside: KubernetesEngine, namespace: str, arms: SeldonArms, client: PredictionClient
) -> None:
    serve(cluster, outside, namespace, arms, "seldon")
    to_a = outside.endpoint(namespace, "wine", "a")

    stranger = KubernetesEngine(cluster.options(namespace, user="ada"))
    with pytest.raises(Forbidden, match=r"does not let ada create services/proxy in namespace") as refused:
        PredictionClient(10, stranger.relay).predict(to_a, [[5.0]], ["x"])
    assert "--verb=create --resource=services/proxy" in refused.value.hint
    stranger.close()

    ends = f"{core(namespace, 'endpoints')}/wine-a"
    cluster.admin.send("PUT", ends, {**cluster.admin.get(ends), "subsets": []})
    with pytest.raises(Rejected, match=r"503: no endpoints available for service"):
        client.predict(to_a, [[5.0]], ["x"])

    away = KubernetesEngine(cluster.options(namespace))
    assert away.relay is not None and to_a.through is not None
    cluster.stop_server()
    try:
        with pytest.raises(Unavailable, match="The cluster does not answer"):
            away.relay(to_a.through, "/api/v1.0/predictions", b"{}", {}, 5.0)
    finally:
        cluster.start_server()
        away.close()


def test_with_impersonation_the_cluster_decides_who_sends_requests(
    cluster: TestCluster,
    outside: KubernetesEngine,
    namespace: str,
    arms: SeldonArms,
    store: EvidenceStore,
    tmp_path: Path,
) -> None:
    """Single requests by whoever asks, replays by whoever began them."""
    serve(cluster, outside, namespace, arms, "seldon")
    group, rbac = "rbac.authorization.k8s.io", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["create"]}
    cluster.admin.send("POST", f"{rbac}/roles", {"metadata": {"name": "asks"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "asks"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "asks"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "ada"}],
    }
    cluster.admin.send("POST", f"{rbac}/rolebindings", binding)
    signed_in = KubernetesEngine(cluster.options(namespace, impersonate=True, ingress_url=""))
    client = PredictionClient(10, signed_in.relay)
    to_a = outside.endpoint(namespace, "wine", "a")
    try:
        wait_until(lambda: answers(client.for_person(who="ada"), to_a), what="ada to be let in")
        with pytest.raises(Forbidden, match="does not let bob create services/proxy in namespace"):
            client.for_person(who="bob").predict(to_a, [[5.0]], ["x"])
        file = tmp_path / "rows.csv"
        file.write_text("x,y\n" + "".join(f"{row}.0,{row}.0\n" for row in range(20)))
        settings = Settings(state_dir=tmp_path)
        jobs = ReplayJobs(store, open_queue(settings), signed_in, settings)
        spec = ReplaySpec(namespace, "wine", str(file), "y", BOUNDED)
        ended = {}
        for who in ("bob", "ada"):
            replay = jobs.submit(spec, who=who)
            jobs.run(replay.id)
            ended[who] = jobs.get(replay.id)
        assert (ended["ada"].state, ended["ada"].done_rows) == (JobState.DONE, 20)
        assert (ended["bob"].state, ended["bob"].done_rows) == (JobState.FAILED, 0)
        assert "does not let bob create services/proxy" in ended["bob"].message
        with pytest.raises(Forbidden, match="does not let bob"):
            jobs.preview(spec, who="bob")
        assert set(jobs.preview(spec, who="ada").predictions) == {"a", "b"}
    finally:
        client.close()
        signed_in.close()


def answers(client: PredictionClient, endpoint: Endpoint) -> bool:
    try:
        return client.predict(endpoint, [[5.0]], ["x"])[0].values == (5.0,)
    except Forbidden:
        return False
