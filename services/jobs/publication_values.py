"""Publications as people see them, and their way in and out of the store's plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from services.evidence.publication_table import PublicationRecord
from services.jobs.states import JobState
from services.publishing.publisher import Moved, Step


@dataclass(frozen=True)
class ModelProgress:
    """One model on its way into the store. `uri` is where Seldon will read it, "" until its name is known."""

    predictor: str
    label: str
    source: str
    uri: str = ""
    moved: Moved = field(default_factory=Moved)
    reused: bool = False

    @property
    def share(self) -> float:
        """How much of the work is done, within 0 to 1: a third each for fetching, copying and comparing."""
        if self.moved.step is Step.DONE:
            return 1.0
        begun = {Step.WAITING: 0, Step.FETCHING: 0, Step.UPLOADING: 1, Step.CHECKING: 2}[self.moved.step]
        done, total = self.moved.bytes, self.moved.bytes_total
        if self.moved.step is Step.FETCHING:
            done, total = self.moved.files, self.moved.files_total
        return (begun + (done / total if total else 0.0)) / 3


@dataclass(frozen=True)
class Publication:
    """Models that are copied into the store for a deployment, which is applied when all of them are there."""

    id: int
    namespace: str
    deployment: str
    models: tuple[ModelProgress, ...]
    state: JobState
    message: str
    who: str
    why: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool = False

    @property
    def progress(self) -> float:
        """Within 0 to 1."""
        return sum(model.share for model in self.models) / len(self.models) if self.models else 1.0


def publication_of(record: PublicationRecord) -> Publication:
    return Publication(
        id=record.id,
        namespace=record.namespace,
        deployment=record.deployment,
        models=tuple(_progress(model) for model in record.models),
        state=JobState(record.state),
        message=record.message,
        who=record.who,
        why=record.why,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        cancel_requested=record.cancel_requested,
    )


def progress_to_json(model: ModelProgress) -> dict[str, Any]:
    return {**asdict(model), "moved": {**asdict(model.moved), "step": model.moved.step.value}}


def _progress(stored: Mapping[str, Any]) -> ModelProgress:
    moved = stored["moved"]
    return ModelProgress(**{**stored, "moved": Moved(**{**moved, "step": Step(moved["step"])})})
