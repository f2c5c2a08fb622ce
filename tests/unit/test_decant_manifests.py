"""manifests/decant: what the overlays make, and what has to hold of every pod in them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from scripts.rendered_manifests import DECANT, OVERLAYS, golden, render
from services.deployments.kubernetes.sender_template import LABELS, WORKER

Object = dict[str, Any]


def objects(overlay: str) -> list[Object]:
    return [found for found in yaml.safe_load_all(golden(overlay).read_text()) if found]


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    return [found for found in objects(overlay) if found["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Object:
    (found,) = [found for found in of_kind(overlay, kind) if found["metadata"]["name"].startswith(name)]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlays_make_what_is_written_down(overlay: str) -> None:
    made = render(DECANT / "overlays" / overlay)
    assert made == golden(overlay).read_text(), "run `.venv/bin/python -m scripts.rendered_manifests --write`"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_runs_without_rights(overlay: str) -> None:
    workloads = of_kind(overlay, "Deployment", "StatefulSet")
    assert {"dashboard", "worker"} <= {found["metadata"]["name"] for found in workloads}
    for found in workloads:
        pod = found["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
            assert context.get("readOnlyRootFilesystem") or container["image"].startswith("postgres")
            assert container["resources"]["requests"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_role_names_all_it_allows(overlay: str) -> None:
    rules = [rule for found in of_kind(overlay, "Role", "ClusterRole") for rule in found["rules"]]
    words = {word for rule in rules for part in ("apiGroups", "resources", "verbs") for word in rule[part]}
    assert "*" not in words
    assert "secrets" not in words, "Decant reads no Secret of the cluster"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_decant_knows_how_often_the_monitors_beside_it_scrape(overlay: str) -> None:
    monitor = yaml.safe_load((DECANT.parent / "monitoring" / "podmonitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert f"{named(overlay, 'ConfigMap', 'decant')['data']['DECANT_SCRAPE_INTERVAL_S']}s" == endpoint["interval"]


def test_only_where_people_sign_in_may_decant_act_as_somebody_else() -> None:
    assert not any("impersonate" in rule["verbs"] for role in of_kind("kind", "ClusterRole") for rule in role["rules"])
    role = named("production", "ClusterRole", "decant-impersonate")
    data = named("production", "ConfigMap", "decant")["data"]
    (rule,) = role["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["verbs"]) == ([""], ["users"], ["impersonate"])
    assert rule["resourceNames"] == data["DECANT_LEADS"].split(","), "nobody but the leads; an empty list is everybody"
    assert data["DECANT_SIGN_IN"] == "oidc"
    assert named("kind", "ConfigMap", "decant")["data"]["DECANT_ALLOW_WITHOUT_SIGN_IN"] == "true"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_beyond_its_namespaces_decant_may_only_read_which_cluster_it_is(overlay: str) -> None:
    rules = [rule for role in of_kind(overlay, "ClusterRole") for rule in role["rules"]]
    others = [rule for rule in rules if rule["verbs"] != ["impersonate"]]
    name = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["kube-system"]}
    assert others == [name]


def given(overlay: str, account: str) -> dict[str, set[tuple[str, str]]]:
    """What the account may do, by resource: where (`*` for the whole cluster) and which verb."""
    roles = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one["rules"]
        for one in of_kind(overlay, "Role", "ClusterRole")
    }
    found: dict[str, set[tuple[str, str]]] = {}
    for binding in of_kind(overlay, "RoleBinding", "ClusterRoleBinding"):
        if {"kind": "ServiceAccount", "name": account, "namespace": "decant"} in binding["subjects"]:
            where = binding["metadata"].get("namespace", "")
            for rule in roles[binding["roleRef"]["kind"], where, binding["roleRef"]["name"]]:
                for resource in rule["resources"]:
                    found.setdefault(resource, set()).update((where or "*", verb) for verb in rule["verbs"])
    return found


def in_seldon(*verbs: str) -> set[tuple[str, str]]:
    return {("seldon", verb) for verb in verbs}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_dashboard_and_worker_have_an_account_each_and_nobody_else_has_one(overlay: str) -> None:
    found = {}
    for one in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        pod = one["spec"]["template"]["spec"]
        if pod.get("automountServiceAccountToken", True):
            found[one["metadata"]["name"]] = pod["serviceAccountName"]
    assert found == {"dashboard": "dashboard", "worker": "worker"}
    made = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind(overlay, "ServiceAccount")}
    assert made == {("decant", "dashboard"), ("decant", "worker"), ("decant", "sender")}
    subjects = [s for one in of_kind(overlay, "RoleBinding", "ClusterRoleBinding") for s in one["subjects"]]
    assert {(s["kind"], s["namespace"], s["name"]) for s in subjects} == {("ServiceAccount", *one) for one in made}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_only_one_of_them_does_only_that_one_may(overlay: str) -> None:
    dashboard, worker = given(overlay, "dashboard"), given(overlay, "worker")
    assert worker["jobs"] == {("decant", verb) for verb in ("get", "create", "delete")}
    assert worker["pods"] == {*in_seldon("list", "watch"), ("decant", "get"), ("decant", "list")}
    assert worker["events"] == in_seldon("create")
    assert worker["deployments"] == dashboard["deployments"] == in_seldon("list", "watch")
    assert not {"pods/log", "resourcequotas", "limitranges"} & worker.keys()
    assert dashboard["pods"] == in_seldon("list", "watch")
    assert dashboard["pods/log"] == in_seldon("get")
    assert "jobs" not in dashboard
    assert {where for places in dashboard.values() for where, _ in places} == {"seldon", "*"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_senders_of_a_replay_look_and_do_nothing_else(overlay: str) -> None:
    sender = given(overlay, "sender")
    assert {verb for places in sender.values() for verb in places} == in_seldon("list", "watch")
    assert not {"events", "jobs", "users", "namespaces"} & sender.keys()
    (worker,) = (c for c in named(overlay, "Deployment", "worker")["spec"]["template"]["spec"]["containers"])
    assert {"name": "DECANT_SENDER_ACCOUNT", "value": "sender"} in worker["env"]


def test_only_where_nobody_signs_in_the_accounts_change_deployments_themselves() -> None:
    looks = in_seldon("get", "list", "watch")
    for account in ("dashboard", "worker"):
        assert given("production", account)["seldondeployments"] == looks
        assert given("production", account)["users"] == {("*", "impersonate")}
        assert "users" not in given("kind", account)
    assert given("kind", "dashboard")["seldondeployments"] == looks | in_seldon("create", "patch", "delete")
    assert given("kind", "worker")["seldondeployments"] == looks | in_seldon("create", "patch")
    (lead,) = named("production", "Role", "decant-lead")["rules"]
    assert (lead["resources"], lead["verbs"]) == (["seldondeployments"], ["create", "patch", "delete"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_in_the_cluster_nothing_goes_through_the_api_servers_proxy(overlay: str) -> None:
    assert "services/proxy" not in golden(overlay).read_text()
    (role,) = yaml.safe_load_all(render(DECANT / "rights" / "outside"))
    assert role["rules"] == [{"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get", "create"]}]


def test_two_dashboards_keep_each_client() -> None:
    assert named("production", "Deployment", "dashboard")["spec"]["replicas"] == 2
    assert named("production", "Service", "dashboard")["spec"]["sessionAffinity"] == "ClientIP"
    notes = named("production", "Ingress", "dashboard")["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/affinity"] == "cookie"


def test_the_trial_has_a_place_for_models_that_seldon_can_read() -> None:
    data = named("kind", "ConfigMap", "decant")["data"]
    assert data["DECANT_MODEL_STORE"].startswith("s3://models/")
    secret = named("kind", "Secret", data["DECANT_MODEL_SECRET"])
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("decant-models", "seldon")
    users = json.loads(base64.b64decode(named("kind", "Secret", "s3")["data"]["s3.json"]))["identities"]
    keys = {(c["accessKey"], c["secretKey"]): user["actions"] for user in users for c in user["credentials"]}

    def text(found: Object, key: str) -> str:
        return base64.b64decode(found["data"][key]).decode()

    reader = tuple(text(secret, f"RCLONE_CONFIG_S3_{key}") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    (own,) = [s for s in of_kind("kind", "Secret") if "DECANT_DATABASE_URL" in s["data"]]
    writer = tuple(text(own, key) for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    assert keys[reader] == ["Read", "List"] and "Write" in keys[writer]
    (policy,) = [p for p in of_kind("kind", "NetworkPolicy") if p["metadata"]["name"] == "seldon-to-models"]
    where = policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]
    assert where == {"kubernetes.io/metadata.name": secret["metadata"]["namespace"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_reaches_the_pods_but_through_what_is_said(overlay: str) -> None:
    closed = named(overlay, "NetworkPolicy", "nobody-to-decant")["spec"]
    assert closed == {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "decant"}}, "policyTypes": ["Ingress"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_worker_knows_its_pod_and_may_have_others_made_like_it(overlay: str) -> None:
    (worker,) = named(overlay, "Deployment", "worker")["spec"]["template"]["spec"]["containers"]
    assert worker["name"] == WORKER
    told = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in worker["env"] if "valueFrom" in one}
    assert told == {"DECANT_POD_NAME": "metadata.name", "DECANT_POD_NAMESPACE": "metadata.namespace"}
    role = named(overlay, "Role", "decant-replays")
    assert role["metadata"]["namespace"] == "decant", "its own namespace, not that of deployments"
    closed = named(overlay, "NetworkPolicy", "nobody-to-decant")["spec"]["podSelector"]["matchLabels"]
    assert closed.items() <= LABELS.items(), "senders are closed as the worker is"
