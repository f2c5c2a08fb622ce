"""A live copy through what watches meet: events, their end, an expired version, a server that refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.deployments.kubernetes.cluster import Cluster
from services.deployments.kubernetes.copies import Copies
from services.deployments.kubernetes.informer import Informer
from services.deployments.kubernetes.seldon import collection
from services.errors import DecantError, Unavailable
from tests.support.kube_stub import Script, serving, write_kubeconfig
from tests.support.waiting import wait_until

PATH = collection("seldon")
GONE = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old resource version"}}


def wine(name: str, version: int, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "seldon", "name": name, "resourceVersion": str(version)}, "spec": spec}


def event(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": found}


@pytest.fixture
def script() -> Script:
    return Script(objects=[wine("red", 5)])


@pytest.fixture
def cluster(script: Script, tmp_path: Path) -> Iterator[Cluster]:
    with serving(script, tmp_path) as kubeconfig:
        yield Cluster(str(kubeconfig))


def names(informer: Informer) -> set[str]:
    return {name for _, name in informer.read().objects}


def test_events_keep_the_copy(script: Script, cluster: Cluster) -> None:
    script.watches = [[event("ADDED", wine("white", 11)), event("DELETED", wine("red", 12))]]
    informer = Informer(cluster, PATH)
    wait_until(lambda: names(informer) == {"white"}, what="both events to arrive")
    assert script.lists == 1
    informer.close()


def test_a_watch_that_ends_goes_on_where_it_was(script: Script, cluster: Cluster) -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
    script.watches = [[event("ADDED", wine("white", 11)), bookmark], [event("ADDED", wine("rose", 21))]]
    informer = Informer(cluster, PATH)
    wait_until(lambda: names(informer) == {"red", "white", "rose"}, what="the second watch")
    assert script.watched_from == ["10", "20"]
    assert script.lists == 1
    informer.close()


def test_an_expired_version_is_listed_anew(script: Script, cluster: Cluster) -> None:
    script.watches = [[GONE], [event("ADDED", wine("rose", 21))]]
    informer = Informer(cluster, PATH)
    wait_until(lambda: names(informer) == {"red", "rose"}, what="the copy to be made again")
    assert script.lists == 2
    informer.close()


def test_what_a_write_returned_is_read_at_once_and_an_older_event_does_not_undo_it(
    script: Script, cluster: Cluster
) -> None:
    script.watches = [[event("MODIFIED", wine("red", 6, colour="old")), event("ADDED", wine("white", 31))]]
    informer = Informer(cluster, PATH)
    informer.put(wine("red", 30, colour="new"))
    informer.read()
    informer.put(wine("red", 30, colour="new"))
    wait_until(lambda: "white" in names(informer), what="the later event")
    assert informer.read().objects["seldon", "red"]["spec"] == {"colour": "new"}
    informer.close()


def test_a_late_answer_to_a_write_does_not_bring_back_what_was_deleted(script: Script, cluster: Cluster) -> None:
    script.watches = [[event("DELETED", wine("red", 12)), event("ADDED", wine("white", 13))]]
    informer = Informer(cluster, PATH)
    wait_until(lambda: names(informer) == {"white"}, what="both events to arrive")
    informer.put(wine("red", 11))
    assert names(informer) == {"white"}
    informer.put(wine("red", 14))
    assert names(informer) == {"white", "red"}, "made anew since"
    informer.close()


def test_what_was_deleted_before_the_copy_was_made_does_not_come_back_either(script: Script, cluster: Cluster) -> None:
    informer = Informer(cluster, PATH)
    assert names(informer) == {"red"}
    informer.put(wine("rose", 9))
    assert names(informer) == {"red"}, "the list is of version 10"
    informer.close()


def test_an_older_deletion_does_not_take_away_what_was_made_anew(script: Script, cluster: Cluster) -> None:
    script.watches = [[], [event("DELETED", wine("red", 12)), event("ADDED", wine("white", 13))]]
    informer = Informer(cluster, PATH)
    informer.read()
    informer.put(wine("red", 30))
    wait_until(lambda: "white" in names(informer), what="the later event")
    assert names(informer) == {"red", "white"}
    informer.close()


def test_a_server_that_is_silent_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.deployments.kubernetes.informer.FIRST_SYNC_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are accepted, and nobody reads them
        informer = Informer(Cluster(str(write_kubeconfig(tmp_path, silent.getsockname()[1]))), PATH)
        with pytest.raises(Unavailable, match="has not listed seldondeployments within"):
            informer.read()
        informer.close()


def test_a_server_that_refuses_from_the_start_is_the_error_of_every_read(script: Script, cluster: Cluster) -> None:
    script.refuse = (404, {"kind": "Status", "reason": "NotFound", "message": "the server could not find the resource"})
    copies = Copies(cluster, (), "none")
    with pytest.raises(Unavailable, match="Seldon Core"):
        copies.deployments(None)
    script.refuse = None
    wait_until(lambda: _read(copies) == {("seldon", "red")}, timeout_s=20, what="the next try")
    copies.close()


def test_a_kind_that_is_taken_away_later_is_told_and_not_taken_for_nothing_deployed(
    script: Script, cluster: Cluster
) -> None:
    copies = Copies(cluster, (), "none")
    assert _read(copies) == {("seldon", "red")}
    script.refuse = (404, {"kind": "Status", "reason": "NotFound", "message": "the server could not find the resource"})
    script.watches_end.set()
    wait_until(lambda: not _read(copies), what="the end of the watch")
    with pytest.raises(Unavailable, match="does not know the kind SeldonDeployment"):
        copies.find("seldon", "red")
    copies.close()


def test_an_empty_copy_that_is_not_kept_up_is_no_proof_that_nothing_is_deployed(
    script: Script, cluster: Cluster
) -> None:
    script.objects = []
    copies = Copies(cluster, (), "none")
    assert copies.deployments(None) == {}
    script.refuse = (500, {"kind": "Status", "message": "etcd is away"})
    script.watches_end.set()
    with pytest.raises(DecantError, match="etcd is away"):
        wait_until(lambda: copies.deployments(None), what="the end of the watch")
    assert copies.find("seldon", "red") is None, "what is asked for by name is told by what was there last"
    copies.close()


@pytest.mark.parametrize("status", [403, 429, 500])
@pytest.mark.parametrize("what", ["deployments", "pods"])
def test_deployments_and_pods_that_are_refused_are_told_and_done_without(
    script: Script, cluster: Cluster, status: int, what: str
) -> None:
    script.refuse, script.refuse_what = (status, {"kind": "Status", "message": "not now"}), f"/{what}"
    copies = Copies(cluster, (), "none")
    said = copies.notice("seldon")
    assert said.startswith(
        {"deployments": "The Deployments behind the arms", "pods": "Pods"}[what] + " cannot be seen: "
    )
    seen = {"deployments": len(copies.apps_deployments("seldon")), "pods": len(copies.pods("seldon"))}
    assert seen == {"deployments": 1, "pods": 1, what: 0}
    copies.close()


def test_a_lost_watch_of_deployments_is_told_and_they_decide_nothing_after_a_while(
    script: Script, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = Copies(cluster, (), "none")
    assert copies.notice("seldon") == ""
    script.refuse, script.refuse_what = (403, {"kind": "Status", "message": "no more"}), "/deployments"
    script.watches_end.set()
    told = "The Deployments behind the arms are shown as of "
    wait_until(lambda: copies.notice("seldon").startswith(told), what="the notice")
    assert len(copies.apps_deployments("seldon")) == 1
    monkeypatch.setattr("services.deployments.kubernetes.copies.STALE_S", 0.0)
    assert copies.apps_deployments("seldon") == []
    assert len(copies.pods("seldon")) == 1
    copies.close()


def _read(copies: Copies) -> set[tuple[str, str]]:
    try:
        return set(copies.deployments(None))
    except Unavailable:
        return set()
