"""What MLflow says of the two models of a test: what they were logged with, and which rows they were trained on."""

from __future__ import annotations

from services.errors import DecantError
from services.tracking.models import ModelCatalogue
from services.tracking.row_split import RowSplit
from services.tracking.runs import RunCatalogue
from services.verdict.checks import Surroundings
from services.verdict.rule import ABTest


class LoggedModels:
    """The models of one test, A's first."""

    def __init__(self, models: ModelCatalogue, runs: RunCatalogue, test: ABTest) -> None:
        self._models, self._runs, self._uris = models, runs, (test.model_a, test.model_b)

    def surroundings(self) -> tuple[Surroundings, Surroundings]:
        """What they were logged with. Raises what the catalogue raises."""
        a, b = (self._surroundings(uri) for uri in self._uris)
        return a, b

    def _surroundings(self, uri: str) -> Surroundings:
        ref = self._models.resolve(uri)
        columns = tuple((column.name, str(column.type)) for column in ref.signature.columns) or None
        return Surroundings(ref.provenance.label, ref.python_version, tuple(ref.requirements), columns)

    def row_splits(self) -> list[RowSplit | None]:
        """Which rows they were trained on, as far as their runs say."""
        found: list[RowSplit | None] = []
        for uri in self._uris:
            try:
                run_id = self._models.resolve(uri).provenance.run_id
                found.append(self._runs.row_split(run_id) if run_id else None)
            except DecantError:
                found.append(None)
        return found
