"""A viewer cannot change anything by a service call: every method of every part, and those that nobody thought of."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.access.rights import CHANGES, READS
from services.deployments.engine import Engine
from services.domain import ChangeNote, Deployment, Person, Predictor, Role, Split
from services.errors import Forbidden
from services.factory import Services, build_services
from services.operations import Operations
from services.settings import Settings
from services.trials import Trial, send_rows, try_row
from services.truths.attaching import attach_truths
from tests.support.memory_engine import MemoryEngine

VIEWER, LEAD = Person("vera", Role.VIEWER), Person("ada", Role.LEAD)
NOTE = ChangeNote("vera", "I wish to")
NO_PARTS = {"settings", "entrance", "elsewhere", "close"}
"""Fields of Services that are plain values, or the end of all."""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Real services whose engine, in memory, runs an A/B test."""
    built = build_services(Settings(state_dir=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9", user="operator"))
    engine = MemoryEngine()
    made = replace(built, engine=engine, operations=Operations(engine, built.store))
    arms = (Predictor("a", "models:/m-a", traffic=80), Predictor("b", "models:/m-b", traffic=20))
    made.operations.apply(Deployment("seldon", "wine", arms), note=ChangeNote("operator", "for the test"))
    yield made
    built.close()


def public(member: object) -> set[str]:
    """What a caller finds on a part, also what it holds as attributes."""
    return {name for name in dir(member) if not name.startswith("_")}


def part(services: Services, path: str) -> Any:
    member: Any = services
    for name in path.split("."):
        member = getattr(member, name)
    return member


def inner_parts(path: str) -> set[str]:
    return {other.rpartition(".")[2] for other in READS if other.rpartition(".")[0] == path}


def test_every_method_of_every_part_is_said_to_read_or_to_change(services: Services) -> None:
    assert {f.name for f in fields(services)} - NO_PARTS == {path for path in READS if "." not in path}
    assert READS.keys() == CHANGES.keys()
    for path in READS:
        member = part(services, path)
        known = READS[path] | CHANGES[path] | inner_parts(path)
        found = public(Engine) if path == "engine" else public(member)
        assert found - known == set(), f"say in services/access/rights.py whether these of {path} read or change"
        assert not READS[path] & CHANGES[path]
        gone = known - found - public(member)
        assert not gone, f"services/access/rights.py names what {path} does not have: {gone}"


@pytest.mark.parametrize("what", [f"{path}.{name}" for path, names in CHANGES.items() for name in sorted(names)])
def test_a_viewer_is_refused_every_change(services: Services, what: str) -> None:
    path, _, name = what.rpartition(".")
    act = getattr(part(services.for_person(VIEWER), path), name)
    with pytest.raises(Forbidden, match="vera may look at everything and change nothing") as caught:
        act()
    assert "DECANT_LEADS" in caught.value.hint


def test_what_nobody_has_classified_is_refused_to_a_viewer_and_open_to_a_lead(services: Services) -> None:
    class Newer(MemoryEngine):
        def explode(self) -> str:
            return "bang"

    newer = replace(services, engine=Newer())
    assert newer.for_person(LEAD).engine.explode() == "bang"  # type: ignore[attr-defined]
    with pytest.raises(Forbidden):
        newer.for_person(VIEWER).engine.explode()  # type: ignore[attr-defined]


def test_a_viewer_reads_what_there_is(services: Services) -> None:
    seen = services.for_person(VIEWER)
    assert [status.deployment.name for status in seen.engine.list()] == ["wine"]
    assert [change.who for change in seen.operations.history("seldon", "wine")] == ["operator"]
    assert seen.store.tests.recent("seldon", "wine") == []
    assert seen.store.outcomes("seldon", "wine") == []
    assert seen.replays.recent() == []
    assert seen.decisions.standing("seldon", "wine") is None
    assert seen.verdicts.tests("seldon", "wine") == []
    assert {health.part for health in seen.health.all()} >= {"Worker", "Evidence store"}


def test_what_a_viewer_asks_for_leaves_the_world_as_it_was(services: Services) -> None:
    seen = services.for_person(VIEWER)
    before = services.engine.get("seldon", "wine"), services.store.changes(), services.store.outcomes("seldon", "wine")
    trial = Trial("seldon", "wine", (1.0,), ("x",))
    parts = (seen.engine, seen.predictions, seen.store)
    status = seen.engine.get("seldon", "wine")
    for act in (
        partial(seen.operations.set_traffic, "seldon", "wine", Split.of([("a", 0), ("b", 100)]), note=NOTE),
        partial(seen.operations.delete, "seldon", "wine", note=NOTE),
        partial(seen.operations.undo, "seldon", "wine", note=NOTE),
        partial(seen.engine.delete, "seldon", "wine", note=NOTE),
        partial(try_row, *parts, trial),
        partial(send_rows, *parts, status, [(1.0,)]),
        partial(attach_truths, *parts, ["puid,truth\n", "p-1,3\n"], who="vera"),
    ):
        with pytest.raises(Forbidden):
            act()
    after = services.engine.get("seldon", "wine"), services.store.changes(), services.store.outcomes("seldon", "wine")
    assert after == before


def test_a_lead_changes_things_in_their_own_name_alone(services: Services) -> None:
    seen = services.for_person(LEAD)
    split = Split.of([("a", 50), ("b", 50)])
    seen.operations.set_traffic("seldon", "wine", split, note=ChangeNote("ada", "fairer"))
    assert services.store.changes()[0].who == "ada"
    with pytest.raises(Forbidden, match="written down as bob's, but it is ada who asks"):
        seen.operations.undo("seldon", "wine", note=ChangeNote("bob", ""))
    with pytest.raises(Forbidden, match="bob"):
        seen.training.submit({}, who="bob")
    assert services.store.changes()[0].who == "ada"


def test_nothing_behind_the_gate_is_reached_past_it(services: Services) -> None:
    seen = services.for_person(VIEWER)
    for name in ("_engine", "_store", "_member"):
        with pytest.raises(AttributeError):
            getattr(seen.operations, name)


def test_no_session_closes_what_all_share(services: Services) -> None:
    services.for_person(LEAD).close()
    assert services.engine.list()


def test_both_lists_hold_methods_and_no_typing_errors(services: Services) -> None:
    """A method that is listed as a change is one: callable on the real part."""
    for path, names in CHANGES.items():
        member = part(services, path)
        for name in names - {"relay"}:  # a way through, which an engine may not need
            assert inspect.ismethod(getattr(member, name)), f"{path}.{name}"
