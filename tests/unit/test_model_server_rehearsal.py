"""A model's first calls: what they settle before the first request comes."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc

from services.runtime.model_server.batching import PROBATION_BATCHES, Merger
from services.runtime.model_server.loading import _examples
from services.runtime.model_server.model import Model
from services.runtime.model_server.rehearsal import rehearse
from tests.support import models


def loaded(folder: Path) -> Model:
    pyfunc = mlflow.pyfunc.load_model(str(folder))
    model = Model(pyfunc)
    model.examples = _examples(model, pyfunc)
    return model


def test_an_ordinary_model_has_proven_that_it_may_be_merged(tmp_path: Path) -> None:
    model = loaded(models.elastic_net(tmp_path))
    assert len(model.examples) > 1, "the model was saved with an input example"
    merger = Merger(model)
    rehearse(merger, model.examples)
    assert merger.merging
    assert merger.telling >= PROBATION_BATCHES


def test_a_model_that_looks_at_the_whole_batch_is_found_out(tmp_path: Path) -> None:
    model = loaded(models.centred(tmp_path))
    reader = model.reader
    rows = [
        reader.from_rows([list(map(float, row))], (), "f") for row in models.table(4, columns=("a", "b")).to_numpy()
    ]
    merger = Merger(model)
    rehearse(merger, rows)
    assert not merger.merging


def test_custom_code_is_not_called_before_somebody_asks(tmp_path: Path) -> None:
    assert loaded(models.breaks(tmp_path)).examples == []


def test_without_an_example_nothing_is_called(tmp_path: Path) -> None:
    model = loaded(models.no_signature(tmp_path))
    merger = Merger(model)
    assert rehearse(merger, model.examples) is False
    assert merger.verified == 0
