"""From whatever a person calls a model to the one model that is meant, pinned, with its signature.

Nothing here loads a model: the answers come from the tracking server and from the model's text files.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from services.domain import ModelFacts, Parameter, Provenance
from services.errors import InvalidInput, NotFound
from services.schema import Signature
from services.tracking.artifacts import MLMODEL, Kept, read_model_files
from services.tracking.door import Door
from services.tracking.downloads import FilesSeen, fetch_files

if TYPE_CHECKING:
    from mlflow import MlflowClient

CACHE_S = 30.0
CACHE_ENTRIES = 256
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_FORMS = "a run id, runs:/<run id>/<path>, models:/m-<id>, models:/<name>/<version>, models:/<name>@<alias> or a folder"


Origin = Callable[[str], str | None]
"""What MLflow calls the model at an address to which it was published; None for addresses that mean themselves."""


def _nothing(_: str) -> str | None:
    return None


@dataclass(frozen=True)
class ModelRef:
    """One model, found. `uri` is pinned: it names the same model tomorrow. `input_example` holds at most five rows."""

    uri: str
    provenance: Provenance
    signature: Signature
    input_example: list[list[Any]] | None
    flavors: tuple[str, ...]
    mlmodel_text: str
    python_version: str
    requirements: tuple[str, ...]
    location: str = ""  # where its files are, as an artifact URI or a path
    facts: ModelFacts = field(default_factory=lambda: ModelFacts(""))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Graph parameters that Seldon's MLflow server needs for this model."""
        return (Parameter("xtype", "DataFrame"),) if self.signature.named else ()


@dataclass(frozen=True)
class _Found:
    uri: str
    location: str
    provenance: Provenance


class ModelCatalogue:
    """Finds models by reference. Making one connects to nothing. `kept`: where the models in the store are read."""

    def __init__(self, tracking_uri: str, origin: Origin = _nothing, kept: Kept | None = None) -> None:
        self._door = Door(tracking_uri)
        self._origin, self._kept = origin, kept
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, ModelRef]] = {}

    def resolve(self, reference: str) -> ModelRef:
        """The model that `reference` means: a run id, a `runs:/`, `models:/` or other artifact URI, or a folder.

        Raises NotFound; InvalidInput when the reference is malformed, means several models, or means one that
        cannot be served; Unavailable when the tracking server does not answer.
        """
        wanted = reference.strip().rstrip("/")
        known = self._recall(wanted)
        if known:
            return known
        found = self._find(wanted)
        title = found.provenance.label if found.uri != wanted else wanted
        files = read_model_files(self._door, found.location, title, self._kept)
        provenance = found.provenance
        if provenance == Provenance():
            provenance = Provenance(run_id=files.run_id, model_id=files.model_id)
        ref = ModelRef(
            found.uri,
            provenance,
            files.signature,
            files.input_example,
            files.flavors,
            files.mlmodel_text,
            files.python_version,
            files.requirements,
            found.location,
            replace(files.facts, uri=found.uri),
        )
        self._remember(wanted, ref)
        return ref

    def fetch(self, reference: str, folder: Path, seen: FilesSeen) -> Path:
        """Put the files of a model into `folder`, telling `seen` how many there are; returns where they lie.

        A model that is a folder of this machine is left where it is. Raises what `resolve` raises.
        """
        location = self._find(reference.strip().rstrip("/")).location
        if Path(location).is_dir():
            return Path(location)
        if self._kept and self._kept.holds(location):
            return self._kept.fetch(location, folder, seen)
        return fetch_files(self._door, location, folder, seen)

    def _find(self, wanted: str) -> _Found:
        if not wanted:
            raise InvalidInput("No model is named.", f"Give {_FORMS}.")
        if _MODEL_ID.fullmatch(wanted):
            return self._logged(wanted)
        if _RUN_ID.fullmatch(wanted):
            return self._of_run(wanted, "")
        scheme = urlsplit(wanted).scheme
        if scheme == "runs":
            run_id, _, path = wanted.removeprefix("runs:").lstrip("/").partition("/")
            return self._of_run(run_id, path)
        if scheme == "models":
            return self._by_models_uri(wanted)
        if scheme == "file":
            return self._folder(Path(unquote(urlsplit(wanted).path)))
        if source := self._origin(wanted) if "://" in wanted else None:
            with suppress(NotFound):  # the store of a Decant with another MLflow: the files speak for themselves
                return self._find(source)
        if (scheme and "://" in wanted) or scheme == "mlflow-artifacts":
            return _Found(wanted, wanted, Provenance())
        if "/" in wanted or Path(wanted).is_dir():
            return self._folder(Path(wanted).expanduser())
        raise InvalidInput(f"“{wanted}” is not a reference to a model.", f"Give {_FORMS}.")

    def _folder(self, folder: Path) -> _Found:
        if not (folder / MLMODEL).is_file():
            raise NotFound("model folder (one with an MLmodel file)", str(folder))
        return _Found(str(folder.resolve()), str(folder), Provenance())

    def _by_models_uri(self, wanted: str) -> _Found:
        rest = wanted.removeprefix("models:").strip("/")
        if _MODEL_ID.fullmatch(rest):
            return self._logged(rest)
        if "@" in rest:
            name, _, alias = rest.rpartition("@")
            with self._door.asking("registered model alias", rest) as client:
                return self._version(client.get_model_version_by_alias(name, alias))
        name, _, version = rest.rpartition("/")
        if name and version.isdigit():
            with self._door.asking("registered model version", f"{name} v{version}") as client:
                return self._version(client.get_model_version(name, version))
        if name and version == "latest":
            return self._version(self._latest(name))
        raise InvalidInput(
            f"“{wanted}” does not name one version of a model.",
            f"Write models:/{name or rest}/<version> or models:/{name or rest}@<alias>.",
        )

    def _latest(self, name: str) -> Any:
        quoted = name.replace("'", "\\'")
        with self._door.asking("registered model", name) as client:
            versions = client.search_model_versions(f"name = '{quoted}'")
        if not versions:
            raise NotFound("registered model", name)
        return max(versions, key=lambda v: int(v.version))

    def _version(self, version: Any) -> _Found:
        """A registered version. Its logged model, where there is one, is the pinned name of the same files."""
        model_id = version.model_id or (version.source or "").removeprefix("models:/")
        if _MODEL_ID.fullmatch(model_id):
            found = self._logged(model_id)
        else:
            with self._door.asking("registered model version", f"{version.name} v{version.version}") as client:
                location = client.get_model_version_download_uri(version.name, version.version)
                name = _run_name(client, version.run_id)
            uri = f"models:/{version.name}/{version.version}"
            found = _Found(uri, location, Provenance(run_id=version.run_id or None, run_name=name))
        provenance = replace(found.provenance, registered_name=version.name, registered_version=str(version.version))
        return replace(found, provenance=provenance)

    def _logged(self, model_id: str) -> _Found:
        with self._door.asking("logged model", model_id) as client:
            model = client.get_logged_model(model_id)
            name = _run_name(client, model.source_run_id)
        status = str(model.status)
        if status in ("PENDING", "FAILED"):
            doing = "is still being logged" if status == "PENDING" else "failed while it was being logged"
            raise InvalidInput(f"Logged model {model_id} {doing}.", "Choose another, or train again.")
        return _Found(
            f"models:/{model_id}",
            model.artifact_location,
            Provenance(run_id=model.source_run_id or None, run_name=name, model_id=model_id),
        )

    def _of_run(self, run_id: str, path: str) -> _Found:
        with self._door.asking("run", run_id) as client:
            run = client.get_run(run_id)
            ids = list(dict.fromkeys(o.model_id for o in run.outputs.model_outputs)) if run.outputs else []
            logged = [client.get_logged_model(i) for i in ids] if path or len(ids) > 1 else []
        title = run.info.run_name or run_id
        logged.sort(key=lambda model: model.creation_timestamp)  # MLflow gives them in no particular order
        names = {model.model_id: model.name for model in logged}
        fitting = [i for i in names if names[i] == path] if path else list(names) or ids
        if len(fitting) == 1:
            return self._logged(fitting[0])
        if len(fitting) > 1 and not path:
            listed = ", ".join(f"{names[i]} (models:/{i})" for i in fitting)
            raise InvalidInput(f"Run “{title}” has {len(fitting)} models: {listed}.", "Name one of them.")
        if len(fitting) > 1:  # the same name logged at several steps: the last one stands, as in MLflow
            return self._logged(fitting[-1])
        folder = path or self._only_folder(run_id, title)
        location = f"{run.info.artifact_uri.rstrip('/')}/{folder}"
        return _Found(f"runs:/{run_id}/{folder}", location, Provenance(run_id=run_id, run_name=run.info.run_name))

    def _only_folder(self, run_id: str, title: str) -> str:
        """The one folder of an MLflow 2 run that holds a model."""
        with self._door.asking("run", run_id) as client:
            folders = [entry.path for entry in client.list_artifacts(run_id) if entry.is_dir]
            models = [f for f in folders if any(e.path == f"{f}/{MLMODEL}" for e in client.list_artifacts(run_id, f))]
        if not models:
            raise NotFound("model in run", title)
        if len(models) > 1:
            listed = ", ".join(f"runs:/{run_id}/{folder}" for folder in models)
            raise InvalidInput(f"Run “{title}” has {len(models)} models: {listed}.", "Name one of them.")
        return models[0]

    def _recall(self, wanted: str) -> ModelRef | None:
        with self._lock:
            at, ref = self._cache.get(wanted, (0.0, None))
        return ref if ref and time.monotonic() - at < CACHE_S else None

    def _remember(self, wanted: str, ref: ModelRef) -> None:
        # Only names that cannot move: not an alias, not a folder that a person may be editing.
        if ref.uri.startswith(("models:/", "runs:/")) and "@" not in wanted and not wanted.endswith("/latest"):
            with self._lock:
                if len(self._cache) >= CACHE_ENTRIES:
                    self._cache.pop(next(iter(self._cache)))
                self._cache[wanted] = (time.monotonic(), ref)


def _run_name(client: MlflowClient, run_id: str | None) -> str | None:
    """Name of the run, None when the run is gone: the model outlives it."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        name: str | None = client.get_run(run_id).info.run_name
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return name
