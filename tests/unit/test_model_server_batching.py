"""Merging requests: never another answer, never another's failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import DecantError
from services.runtime.model_server.answers import read_output, same
from services.runtime.model_server.batching import INLINE_AFTER, PROBATION_BATCHES, REVERIFY_EVERY, Batcher, Merger
from services.runtime.model_server.failures import ModelFailed, NotReady
from services.runtime.model_server.freeform import FreeReader
from services.runtime.model_server.worker import WorkerThread

READER = FreeReader(as_table=False)


class FunctionModel:
    """A model made of a function on an array: what `Model` is to the merger."""

    def __init__(self, function: Callable[[Any], Any], *, merges: bool = True, brief: bool = False) -> None:
        self.function, self.merges, self.brief = function, merges, brief
        self.sizes: list[int] = []

    def predict(self, layout: Any, payloads: Sequence[Any]) -> Any:
        data = layout.assemble(payloads).data
        self.sizes.append(len(data))
        try:
            return read_output(self.function(data))
        except (ValueError, ZeroDivisionError) as error:
            raise ModelFailed(error, isinstance(error, ValueError)) from error


def parts(*blocks: list[list[Any]]) -> list[Any]:
    return [READER.from_rows(block, (), "f") for block in blocks]


def row_wise(data: Any) -> Any:
    if (data == 13).any():
        raise ValueError("thirteen")
    return data.sum(axis=1) * 0.1


def whole_batch(data: Any) -> Any:
    return (data - data.mean(axis=0)).sum(axis=1)


BLOCKS = st.lists(
    st.lists(st.lists(st.integers(0, 14), min_size=2, max_size=2), min_size=1, max_size=4), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(st.lists(BLOCKS, min_size=1, max_size=4), st.sampled_from([row_wise, whole_batch]))
def test_merging_equals_one_by_one(batches, function):
    merger = Merger(FunctionModel(function))
    for blocks in batches:
        together = merger.compute(parts(*blocks))
        alone = [Merger(FunctionModel(function)).compute([p])[0] for p in parts(*blocks)]
        for left, right in zip(together, alone, strict=True):
            if isinstance(right, DecantError):
                assert isinstance(left, DecantError) and str(left) == str(right)
            else:
                assert same(left, right)


def test_one_bad_request_among_many_fails_alone():
    merger = Merger(FunctionModel(row_wise))
    blocks = [[[float(i), 1.0]] for i in range(20)]
    blocks[7] = [[13.0, 1.0]]
    outcomes = merger.compute(parts(*blocks))
    assert [i for i, o in enumerate(outcomes) if isinstance(o, DecantError)] == [7, 13]
    assert merger.merging and merger.differences == 0


def test_a_model_that_sees_the_whole_batch_is_found_out():
    merger = Merger(FunctionModel(whole_batch))
    outcomes = merger.compute(parts([[1.0, 2.0]], [[5.0, 9.0]]))
    assert [o.rows for o in outcomes] == [[0.0], [0.0]]
    assert not merger.merging and merger.differences == 1


def test_equal_rows_prove_nothing():
    merger = Merger(FunctionModel(whole_batch))
    for _ in range(3 * PROBATION_BATCHES):
        merger.compute(parts([[1.0, 2.0]], [[1.0, 2.0]]))
    assert merger.merging
    assert [o.rows for o in merger.compute(parts([[1.0, 2.0]], [[5.0, 9.0]]))] == [[0.0], [0.0]]
    assert not merger.merging


@pytest.mark.parametrize("function", [lambda d: d.sum(), lambda d: d.sum(axis=1)[:1], lambda d: "text"])
def test_another_number_of_rows_ends_merging(function):
    merger = Merger(FunctionModel(function))
    outcomes = merger.compute(parts([[1.0, 2.0]], [[3.0, 4.0]]))
    assert [o.rows for o in outcomes] == [
        Merger(FunctionModel(function)).compute([p])[0].rows for p in parts([[1.0, 2.0]], [[3.0, 4.0]])
    ]
    assert not merger.merging


def test_a_merged_call_that_alone_fails_ends_merging():
    def fussy(data: Any) -> Any:
        if len(data) > 1:
            raise ValueError("one row, please")
        return data.sum(axis=1)

    merger = Merger(FunctionModel(fussy))
    assert [o.rows for o in merger.compute(parts([[1.0, 2.0]], [[3.0, 4.0]]))] == [[3.0], [7.0]]
    assert not merger.merging


def test_after_probation_only_some_batches_are_verified():
    model = FunctionModel(row_wise)
    merger = Merger(model)
    blocks = [[[float(i), 2.0]] for i in range(10)]
    for _ in range(PROBATION_BATCHES):
        merger.compute(parts(*blocks))
    model.sizes.clear()
    for _ in range(REVERIFY_EVERY):
        merger.compute(parts(*blocks))
    singles = [s for s in model.sizes if s == 1]
    assert model.sizes.count(10) == REVERIFY_EVERY and 0 < len(singles) <= 8


def test_models_that_do_not_merge_are_called_one_by_one():
    model = FunctionModel(row_wise, merges=False)
    Merger(model).compute(parts([[1.0, 2.0]], [[3.0, 4.0]]))
    assert model.sizes == [1, 1]


def run(model: FunctionModel, blocks: list[list[list[Any]]], *, batch_rows: int = 256) -> tuple[list[Any], list[int]]:
    """Submit all blocks at once to a batcher on a real loop and thread; outcomes and observed batch sizes."""
    seen: list[int] = []

    async def go() -> list[Any]:
        worker = WorkerThread(asyncio.get_running_loop())
        batcher = Batcher(model, worker, batch_rows=batch_rows, observe=seen.append)  # type: ignore[arg-type]
        futures = [batcher.submit(p) for p in parts(*blocks)]
        return await asyncio.gather(*futures, return_exceptions=True)

    return asyncio.run(go()), seen


@pytest.mark.parametrize("brief", [False, True])
def test_every_waiting_request_gets_its_own_answer(brief):
    blocks = [[[float(i % 12), float(j)] for j in range(1 + i % 3)] for i in range(100)]
    outcomes, seen = run(FunctionModel(row_wise, brief=brief), blocks)
    for block, outcome in zip(blocks, outcomes, strict=True):
        assert outcome.rows == pytest.approx(list(np.array(block).sum(axis=1) * 0.1))
    assert sum(seen) == sum(len(b) for b in blocks) and len(seen) < 100


def test_batches_stay_within_the_limit_of_rows():
    _, seen = run(FunctionModel(row_wise), [[[1.0, 2.0]] * 3 for _ in range(50)], batch_rows=10)
    assert max(seen) <= 10
    _, seen = run(FunctionModel(row_wise), [[[1.0, 2.0]] * 25], batch_rows=10)
    assert seen == [25]  # one large request is one call


def test_requests_of_other_layouts_are_not_merged():
    outcomes, seen = run(FunctionModel(row_wise), [[[1, 2]], [[1.5, 2.0]], [[1, 2, 3]], [[3, 4]]])
    assert [o.rows for o in outcomes] == [pytest.approx([v]) for v in (0.3, 0.35, 0.6, 0.7)]
    assert sorted(seen) == [1, 1, 2]


def test_a_model_that_fails_leaves_the_batcher_working():
    outcomes, _ = run(FunctionModel(lambda d: d / 0 if False else 1 // 0), [[[1.0, 2.0]], [[3.0, 4.0]]])
    assert [o.code for o in outcomes] == [500, 500]


@pytest.mark.parametrize("brief", [False, True])
def test_not_even_an_unforeseen_error_leaves_a_request_waiting(brief):
    def forgetful(data: Any) -> Any:
        if (data == 13).any():
            raise LookupError("nobody has foreseen this")
        return data.sum(axis=1)

    blocks = [[[1.0, 2.0]]] * INLINE_AFTER + [[[13.0, 2.0]], [[3.0, 4.0]]]

    async def go() -> list[Any]:
        model = FunctionModel(forgetful, merges=False, brief=brief)
        batcher = Batcher(model, WorkerThread(asyncio.get_running_loop()), batch_rows=8)  # type: ignore[arg-type]
        return await asyncio.gather(*(batcher.submit(p) for p in parts(*blocks)), return_exceptions=True)

    *_, failed, after = asyncio.run(go())
    assert failed.code == 500 and "LookupError" in str(failed)
    assert after.rows == [7.0]


def test_waiting_requests_are_told_when_the_server_stops():
    async def go() -> Any:
        batcher = Batcher(FunctionModel(row_wise), WorkerThread(asyncio.get_running_loop()), batch_rows=8)  # type: ignore[arg-type]
        future = batcher.submit(parts([[1.0, 2.0]])[0])
        batcher.abandon("the server is stopping")
        with pytest.raises(NotReady):
            await future

    asyncio.run(go())
