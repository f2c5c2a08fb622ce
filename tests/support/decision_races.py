"""Several people who decide on one deployment at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from services.errors import Conflict
from services.evidence.store import EvidenceStore

PEOPLE = 8


def assert_one_is_taken(store: EvidenceStore, test: int) -> None:
    """Of decisions on `seldon/wine` that are taken at once, one is written down and the others are refused."""
    together = Barrier(PEOPLE)

    def take(_: int) -> bool:
        together.wait()
        try:
            store.decisions.add(test, "seldon", "wine", call="keep", winner="a", who="ann", why="")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(PEOPLE) as pool:
        assert sum(pool.map(take, range(PEOPLE))) == 1
    assert len(store.decisions.unfinished()) == 1
