"""Which engine a Decant stands before: the same after a restart, another one in another state folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.deployments.identity import INSTALLATION, EngineIdentity, installation, once
from services.engines import choose_engine
from services.errors import Unavailable
from services.settings import Settings


def test_a_state_folder_is_one_engine_for_all_time(tmp_path: Path) -> None:
    first = installation(tmp_path / "one")
    assert first == installation(tmp_path / "one") == choose_engine(Settings(state_dir=tmp_path / "one")).identity()
    assert first.key != installation(tmp_path / "two").key
    assert first.key.removeprefix("local/")[:8] in first.words
    (tmp_path / "one").rename(tmp_path / "moved")
    assert installation(tmp_path / "moved") == first


def test_of_several_that_start_at_once_all_find_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: installation(tmp_path), range(64)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == [INSTALLATION]


def test_an_answer_is_remembered_and_a_failure_is_not() -> None:
    answers = iter([Unavailable("The API server", "no answer"), EngineIdentity("cluster/1", "a cluster")])

    def ask() -> EngineIdentity:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    identify = once(ask)
    with pytest.raises(Unavailable):
        identify()
    assert identify() == identify() == EngineIdentity("cluster/1", "a cluster")
