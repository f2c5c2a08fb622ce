"""Experiments, runs and registered models as a person browses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from services.errors import DecantError, InvalidInput
from services.tracking.door import Door
from services.tracking.filters import explain_filter, explain_order
from services.tracking.row_split import RowSplit, read_row_split

PAGE = 1000
MAX_ARTIFACTS = 500
NEWEST_FIRST = "attributes.start_time DESC"
HISTORY_TAG = "mlflow.log-model.history"
"""Where MLflow 2 noted the models of a run."""


@dataclass(frozen=True)
class Experiment:
    """A folder of runs."""

    id: str
    name: str
    created_at: datetime | None


@dataclass(frozen=True)
class Run:
    """One training run. `models` are ids of logged models; `mlflow2_model` says that it holds one the old way."""

    run_id: str
    name: str
    experiment_id: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    user: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    mlflow2_model: bool = False


@dataclass(frozen=True)
class RunPage:
    """A page of search results; hand `next_token` back for the next, None means that this was the last."""

    runs: tuple[Run, ...]
    next_token: str | None


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model; `model_uri` is pinned to it."""

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    model_uri: str


class RunCatalogue:
    """What a tracking server knows about runs. Making one connects to nothing.

    Every method raises Unavailable when the server does not answer.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._door = Door(tracking_uri)

    @property
    def tracking_uri(self) -> str:
        return self._door.tracking_uri

    def ping(self) -> str:
        """The server's version, or the URI of a database or folder."""
        return self._door.ping()

    def experiments(self) -> list[Experiment]:
        """Every experiment that is not deleted, the most recently changed first."""
        with self._door.asking() as client:
            found = _all_pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
        return [Experiment(e.experiment_id, e.name, _moment(e.creation_time)) for e in found]

    def search(
        self,
        experiment_ids: Sequence[str],
        filter_text: str = "",
        order_by: str = "",
        page_token: str | None = None,
        limit: int = 50,
    ) -> RunPage:
        """Runs of the experiments (of all, if none is named) in MLflow's filter syntax; newest first by default.

        One request for a page. Raises InvalidInput that says what is wrong with the filter or the order.
        """
        ids = list(experiment_ids) or [experiment.id for experiment in self.experiments()]
        order = [part.strip() for part in order_by.split(",") if part.strip()]
        try:
            with self._door.asking("experiment", ", ".join(ids)) as client:
                found = client.search_runs(
                    ids,
                    filter_string=filter_text.strip(),
                    max_results=limit,
                    order_by=order or [NEWEST_FIRST],
                    page_token=page_token,
                )
        except InvalidInput as error:
            raise _explained(error, filter_text.strip(), order_by.strip()) from error
        return RunPage(tuple(_run(run) for run in found), found.token or None)

    def run(self, run_id: str) -> Run:
        """One run. Raises NotFound."""
        with self._door.asking("run", run_id) as client:
            found = client.get_run(run_id)
            known = _run(found)
            if known.models or known.mlflow2_model:
                return known
            # A model copied in as plain files leaves no tag.
            old = any(f.path == "model/MLmodel" for f in client.list_artifacts(run_id, "model"))
        return _run(found, old_model=old)

    def row_split(self, run_id: str) -> RowSplit | None:
        """Which rows of its data the run was trained on; None if it does not say."""
        return read_row_split(self._door, run_id)

    def end(self, run_id: str, status: str) -> None:
        """Mark a run that still counts as running as `status`: FINISHED, FAILED or KILLED. Raises NotFound."""
        with self._door.asking("run", run_id) as client:
            if client.get_run(run_id).info.status in ("RUNNING", "SCHEDULED"):
                client.set_terminated(run_id, status)

    def artifacts(self, run_id: str) -> list[str]:
        """Paths of the run's files, sorted; those of its logged models under the model's name. At most 500.

        Raises NotFound.
        """
        with self._door.asking("run", run_id) as client:
            run = client.get_run(run_id)
            paths = set(_walk(partial(client.list_artifacts, run_id)))
            for model_id in _model_ids(run):
                name = client.get_logged_model(model_id).name
                files = _walk(partial(client.list_logged_model_artifacts, model_id))
                paths.update(f"{name}/{path}" for path in files)
        return sorted(paths)[:MAX_ARTIFACTS]

    def registered_models(self) -> list[RegisteredVersion]:
        """Every version of every registered model, by name, newest version first."""
        with self._door.asking() as client:
            models = _all_pages(lambda token: client.search_registered_models(max_results=PAGE, page_token=token))
            versions = _all_pages(lambda token: client.search_model_versions(max_results=PAGE, page_token=token))
        # A search for versions leaves the aliases out; the models carry them.
        aliases: dict[tuple[str, str], list[str]] = {}
        for model in models:
            for alias, version in (model.aliases or {}).items():
                aliases.setdefault((model.name, str(version)), []).append(alias)
        found = [
            RegisteredVersion(
                v.name,
                str(v.version),
                tuple(sorted(aliases.get((v.name, str(v.version)), ()))),
                v.run_id or "",
                f"models:/{v.name}/{v.version}",
            )
            for v in versions
        ]
        return sorted(found, key=lambda v: (v.name, -int(v.version)))


def _explained(error: InvalidInput, filter_text: str, order_by: str) -> DecantError:
    complaint = error.sentence.removeprefix("MLflow cannot use this: ").rstrip(".")
    key = order_by.split()[0] if order_by else ""
    named = f"'{key}'" in complaint and key not in filter_text
    about_order = bool(order_by) and (not filter_text or "order" in complaint or named)
    if about_order:
        return explain_order(order_by, complaint)
    return explain_filter(filter_text, complaint) if filter_text else error


def _run(run: Any, old_model: bool = False) -> Run:
    info, tags = run.info, dict(run.data.tags)
    models = _model_ids(run)
    return Run(
        run_id=info.run_id,
        name=info.run_name or tags.get("mlflow.runName") or info.run_id,
        experiment_id=info.experiment_id,
        status=info.status,
        started_at=_moment(info.start_time),
        ended_at=_moment(info.end_time),
        user=tags.get("mlflow.user") or info.user_id or "",
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={name: value for name, value in tags.items() if not name.startswith("mlflow.")},
        models=models,
        mlflow2_model=not models and (old_model or HISTORY_TAG in tags),
    )


def _model_ids(run: Any) -> tuple[str, ...]:
    outputs = run.outputs.model_outputs if run.outputs else []
    return tuple(dict.fromkeys(output.model_id for output in outputs))


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _all_pages(ask: Callable[[str | None], Any]) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _walk(list_folder: Callable[[str | None], list[Any]]) -> list[str]:
    """Paths of all files, breadth first, until there are enough."""
    files: list[str] = []
    folders: list[str | None] = [None]
    while folders and len(files) < MAX_ARTIFACTS:
        for entry in list_folder(folders.pop(0)):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                files.append(entry.path)
    return files
