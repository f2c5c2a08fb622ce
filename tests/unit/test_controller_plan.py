"""The controller's plan: whatever the start, following it ends in the wanted state and never drops service."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.controller.plan import GatewayView, Observed, plan_arm
from services.runtime.controller.replicas import Replica


def replica(revision: str, index: int, port: int) -> Replica:
    return Replica("seldon", "wine", "a", revision, index, port, "models:/m-1", "node", True)


def test_first_replica_is_created_and_routed_before_it_is_ready() -> None:
    plan = plan_arm("r1", 1, [], GatewayView())
    assert plan.create == (0,)
    loading = Observed(replica("r1", 0, 1), ready=False)
    assert plan_arm("r1", 1, [loading], GatewayView()).ports == (1,)


def test_the_old_model_serves_until_every_new_replica_is_ready() -> None:
    old, new = Observed(replica("r1", 0, 1), True), Observed(replica("r2", 0, 2), False)
    plan = plan_arm("r2", 2, [old, new], GatewayView(frozenset({1}), frozenset({1}), frozenset({1})))
    assert plan.create == (1,)
    assert plan.ports == (1,)
    assert plan.retire == ()


def test_the_old_model_leaves_only_after_the_gateway_found_the_new_one_healthy() -> None:
    old, new = Observed(replica("r1", 0, 1), True), Observed(replica("r2", 0, 2), True)
    both = plan_arm("r2", 1, [old, new], GatewayView(frozenset({1}), frozenset({1}), frozenset({1})))
    assert set(both.ports) == {1, 2}
    seen = GatewayView(frozenset({1, 2}), frozenset({1, 2}), frozenset({1, 2}))
    alone = plan_arm("r2", 1, [old, new], seen)
    assert alone.ports == (2,)
    assert alone.retire == ()
    gone = plan_arm("r2", 1, [old, new], GatewayView(frozenset({2}), frozenset({2}), frozenset({2})))
    assert [r.port for r in gone.retire] == [1]


def test_a_replica_the_gateway_may_still_use_is_never_retired() -> None:
    old, new = Observed(replica("r1", 0, 1), True), Observed(replica("r2", 0, 2), True)
    unknown = GatewayView(frozenset({2}), None, frozenset())
    assert plan_arm("r2", 1, [old, new], unknown).retire == ()


def test_a_failed_new_model_leaves_the_old_one_in_service() -> None:
    old, new = Observed(replica("r1", 0, 1), True), Observed(replica("r2", 0, 2), False, failed=True)
    plan = plan_arm("r2", 1, [old, new], GatewayView(frozenset({1}), frozenset({1}), frozenset({1})))
    assert plan.ports == (1,)


def test_going_back_to_the_old_model_drops_the_one_that_never_served() -> None:
    old, new = Observed(replica("r1", 0, 1), True), Observed(replica("r2", 0, 2), False)
    plan = plan_arm("r1", 1, [old, new], GatewayView(frozenset({1}), frozenset({1}), frozenset({1})))
    assert plan.ports == (1,)
    assert [r.port for r in plan.retire] == [2]


def test_scaling_down_keeps_the_lowest_indices() -> None:
    observed = [Observed(replica("r1", i, i + 1), True) for i in range(3)]
    ports = frozenset({1, 2, 3})
    plan = plan_arm("r1", 1, observed, GatewayView(ports, ports, ports))
    assert plan.ports == (1,)
    after = plan_arm("r1", 1, observed, GatewayView(frozenset({1}), frozenset({1}), frozenset({1})))
    assert sorted(r.port for r in after.retire) == [2, 3]


@given(
    start=st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.integers(0, 2)), unique=True, max_size=6),
    written=st.sets(st.integers(0, 5)),
    wanted=st.sampled_from(["r1", "r2", "r3"]),
    replicas=st.integers(0, 3),
    gateway_up=st.lists(st.booleans(), max_size=4),
)
def test_from_any_state_it_converges_without_a_gap(
    start: list[tuple[str, int]], written: set[int], wanted: str, replicas: int, gateway_up: list[bool]
) -> None:
    """Simulates the gateway and the processes; `gateway_up` says in which of the first passes the gateway answers."""
    pool = {port: replica(revision, index, port) for port, (revision, index) in enumerate(start)}
    loaded = set(pool)  # what was there before has loaded long ago
    routed = {p for p in written if p in pool}
    known = set(routed)
    served_once = bool(routed)
    next_port = 100
    for attempt in range(30):
        up = gateway_up[attempt] if attempt < len(gateway_up) else True
        view = GatewayView(
            frozenset(routed), frozenset(known) if up else None, frozenset(known & loaded) if up else frozenset()
        )
        observed = [Observed(r, port in loaded) for port, r in pool.items()]
        plan = plan_arm(wanted, replicas, observed, view)
        retired = {r.port for r in plan.retire}
        assert not retired & known, "ended a process that the gateway still uses"
        loaded |= set(pool)
        for index in plan.create:
            pool[next_port] = replica(wanted, index, next_port)
            next_port += 1
        routed = set(plan.ports)
        if up:
            known = set(routed)
        for port in retired:
            del pool[port]
        if served_once and replicas:
            assert routed & loaded or not plan.ports, "service was interrupted"
    assert {(r.revision, r.index) for r in pool.values()} == {(wanted, i) for i in range(replicas)}
    assert routed == set(pool)
