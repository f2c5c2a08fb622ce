"""Which routes come next: nobody loses service to a change, and nobody waits for strangers."""

from __future__ import annotations

from services.domain import Deployment, Predictor, Split
from services.runtime.controller.routing import Force, plan_routes
from services.runtime.envoy.model import Upstream, cluster_name


def wine(name: str = "wine", /, **shares: int) -> Deployment:
    return Deployment("seldon", name, tuple(Predictor(arm, "models:/m-1", share) for arm, share in shares.items()))


def force(in_force: dict[str, dict[str, int]], healthy: dict[str, dict[str, bool]], runs: bool = True) -> Force:
    """`healthy`: per deployment name, each arm whose clusters are there and whether it serves."""
    upstreams = {
        cluster_name(route, "seldon", name, arm): {Upstream("127.0.0.1", 1): well}
        for name, arms in healthy.items()
        for arm, well in arms.items()
        for route in ("split", "pin")
    }
    return Force(runs, runs, {f"seldon/{k}": Split.of(v) for k, v in in_force.items()}, upstreams, "1")


def planned(wanted: list[Deployment], now: Force) -> dict[str, dict[str, int]]:
    plan = plan_routes({d.key: d for d in wanted}, now)
    return {d.name: d.split.as_dict() for d in plan.deployments}


def test_a_new_deployment_is_routed_before_it_is_ready() -> None:
    assert planned([wine(a=80, b=20)], force({}, {"wine": {"a": False, "b": False}})) == {"wine": {"a": 80, "b": 20}}


def test_an_arm_joins_once_it_serves() -> None:
    joined = [wine(a=80, b=20)]
    loading = force({"wine": {"a": 100}}, {"wine": {"a": True, "b": False}})
    assert planned(joined, loading) == {"wine": {"a": 100}}
    assert "until b is ready" in plan_routes({"seldon/wine": joined[0]}, loading).waiting["seldon/wine"]
    ready = force({"wine": {"a": 100}}, {"wine": {"a": True, "b": True}})
    assert planned(joined, ready) == {"wine": {"a": 80, "b": 20}}


def test_renamed_arms_take_over_together() -> None:
    renamed = [wine(champion=80, challenger=20)]
    half = {"a": True, "b": True, "champion": True, "challenger": False}
    before = {"wine": {"a": 80, "b": 20}}
    assert planned(renamed, force(before, {"wine": half})) == before
    assert planned(renamed, force(before, {"wine": {**half, "challenger": True}})) == {
        "wine": {"champion": 80, "challenger": 20}
    }


def test_an_arm_with_traffic_keeps_it_though_it_is_down() -> None:
    moved = [wine(a=50, b=50)]
    assert planned(moved, force({"wine": {"a": 80, "b": 20}}, {"wine": {"a": True, "b": False}})) == {
        "wine": {"a": 50, "b": 50}
    }


def test_an_arm_without_traffic_needs_no_health() -> None:
    parked = [wine(a=100, b=0)]
    assert planned(parked, force({"wine": {"a": 100}}, {"wine": {"a": True, "b": False}})) == {
        "wine": {"a": 100, "b": 0}
    }


def test_one_deployment_that_waits_holds_up_no_other() -> None:
    now = force({"one": {"a": 100}, "two": {"a": 80, "b": 20}}, {"one": {"a": True}, "two": {"a": True, "b": True}})
    wanted = [wine("one", a=50, b=50), wine("two", a=10, b=90), wine("three", a=100)]
    assert planned(wanted, now) == {"one": {"a": 100}, "two": {"a": 10, "b": 90}}


def test_while_the_gateway_is_down_the_files_say_what_is_wanted() -> None:
    assert planned([wine(a=50, b=50)], force({}, {}, runs=False)) == {"wine": {"a": 50, "b": 50}}


def test_a_deleted_deployment_loses_its_route() -> None:
    assert planned([], force({"wine": {"a": 100}}, {"wine": {"a": True}})) == {}
