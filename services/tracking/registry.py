"""What a decision reads and writes in MLflow: registered versions, aliases, tags on versions and runs, artifacts.

Every method that writes may be called again after it was interrupted: it leaves alone what it finds done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.domain import Provenance
from services.errors import InvalidInput, NotFound, Rejected
from services.tracking.door import PART, Door

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
"""The alias of the version in charge, as MLflow's own documentation names it."""

_MODEL_URI = re.compile(r"models:/(m-[0-9a-f]{32})")
_VERSION_URI = re.compile(r"models:/([^@]+)/(\d+)")
_RUN_URI = re.compile(r"runs:/+([0-9a-f]{32})(?:/(.*))?")


@dataclass(frozen=True, slots=True)
class Lineage:
    """A served model as MLflow knows it. Everything is empty for a model that MLflow has never seen.

    Attributes:
        uri: as it is served.
        run_id: the run that logged it; None if there is none, or it is deleted.
        model_id: the logged model (MLflow 3); None for models of MLflow 2 and plain folders.
        source: what a registered version of it would point to; empty if it cannot be registered.
        versions: (name, version) of every registered version of it, newest first.
    """

    uri: str
    run_id: str | None = None
    model_id: str | None = None
    source: str = ""
    versions: tuple[tuple[str, str], ...] = ()

    def version_of(self, name: str) -> str | None:
        """The newest version of it under a registered name."""
        return next((version for known, version in self.versions if known == name), None)


class Registry:
    """One tracking server's models and runs, to be written to. Making one connects to nothing.

    Every method raises Unavailable when the server does not answer and Rejected when it refuses.
    """

    def __init__(self, tracking_uri: str, origin: Callable[[str], str | None] = lambda _: None) -> None:
        self._door = Door(tracking_uri)
        self._origin = origin

    def lineage(self, uri: str, provenance: Provenance) -> Lineage:
        """Where a served model comes from. Asks nothing when neither its URI nor its annotations speak of MLflow.

        What the annotations name and the server does not have (a deployment moved here from elsewhere) counts as
        unknown.
        """
        model_id, run_id, path = provenance.model_id, provenance.run_id, ""
        registered = (provenance.registered_name, provenance.registered_version)
        source = self._origin(uri) or uri  # a published address stands for the model that was copied there
        if match := _MODEL_URI.fullmatch(source):
            model_id = match[1]
        elif match := _VERSION_URI.fullmatch(source):
            registered = (match[1], match[2])
        elif match := _RUN_URI.fullmatch(source):
            run_id, path = match[1], match[2] or ""
        found: set[tuple[str, str]] = set()
        sources: set[str] = set()
        if registered[0] and registered[1] and (version := self._version(registered[0], registered[1])):
            found.add((version.name, str(version.version)))
            sources.add(version.source)
            run_id = run_id or version.run_id or None
            model_id = model_id or version.model_id
        model = self._logged(model_id) if model_id else None
        if model is not None:
            sources |= {f"models:/{model_id}", model.artifact_location}
            run_id = run_id or model.source_run_id or None
        run = self._active_run(run_id) if run_id else None
        if run is not None and path:
            sources.add(f"{run.info.artifact_uri.rstrip('/')}/{path}")
        for source in sources:
            found |= self._registered_from(source)
        return Lineage(
            uri,
            run_id if run is not None else None,
            model_id if model is not None else None,
            self._source(model, sources),
            tuple(sorted(found, key=lambda v: (int(v[1]), v[0]), reverse=True)),
        )

    def aliased(self, name: str, alias: str = CHAMPION) -> str | None:
        """The version that the alias names; None if the alias or the registered model does not exist."""
        try:
            with self._door.asking("registered model", name) as client:
                version = client.get_registered_model(name).aliases.get(alias)
        except NotFound:
            return None
        return None if version is None else str(version)

    def register(self, name: str, model: Lineage, tags: Mapping[str, str]) -> str:
        """The version of `model` under `name`: the one there is, else a new one with these tags.

        Raises InvalidInput if MLflow holds no files of the model that a version could point to.
        """
        if not model.source:
            raise InvalidInput(f"{model.uri} cannot be registered: MLflow does not have it.")
        known = [version for known, version in self._registered_from(model.source) if known == name]
        if known:
            return max(known, key=int)
        with self._door.asking("registered model", name) as client:
            if not _exists(client, name):
                client.create_registered_model(name)
            made = client.create_model_version(
                name,
                model.source,
                run_id=model.run_id,
                tags=dict(tags),
                model_id=model.model_id,
                await_creation_for=0,  # an alias needs the version's number, not its files
            )
        return str(made.version)

    def set_alias(self, name: str, version: str | None, alias: str = CHAMPION) -> None:
        """Let the alias name this version, or nothing if None. Raises NotFound if the version does not exist."""
        with self._door.asking("registered model version", f"{name} v{version}" if version else name) as client:
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, version)

    def tag_version(self, name: str, version: str, tags: Mapping[str, str], without: Iterable[str] = ()) -> None:
        """Set tags on a registered version and remove others. Raises NotFound."""
        with self._door.asking("registered model version", f"{name} v{version}") as client:
            present = client.get_model_version(name, version).tags
            for key, value in tags.items():
                client.set_model_version_tag(name, version, key, value)
            for key in without:
                if key in present:
                    client.delete_model_version_tag(name, version, key)

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a run. Raises NotFound, and InvalidInput if it is deleted."""
        with self._door.asking("run", run_id) as client:
            for key, value in tags.items():
                client.set_tag(run_id, key, value)

    def version_tags(self, name: str, version: str) -> dict[str, str]:
        """Raises NotFound."""
        with self._door.asking("registered model version", f"{name} v{version}") as client:
            return dict(client.get_model_version(name, version).tags)

    def log_text(self, run_id: str, path: str, text: str) -> None:
        """Write a text file among the run's artifacts, over one that is there. Raises NotFound."""
        with self._door.asking("run", run_id) as client:
            import requests  # after the client, like everything that MLflow brings along

            try:
                client.log_text(run_id, text, path)
            except requests.RequestException:
                raise  # an OSError too, and one that the door knows
            except OSError as error:  # artifacts in a folder of this machine: full, gone or not ours
                raise Rejected(f"{PART}'s artifact store", 507, str(error)) from error

    def _source(self, model: Any, sources: set[str]) -> str:
        """What to register: the logged model by its name, or else where its files are."""
        if model is None:
            return next(iter(sorted(sources)), "")
        # A database looks such names up in whatever MLFLOW_TRACKING_URI says, not in itself.
        return f"models:/{model.model_id}" if self._door.remote else str(model.artifact_location)

    def _version(self, name: str, version: str) -> Any:
        try:
            with self._door.asking("registered model version", f"{name} v{version}") as client:
                return client.get_model_version(name, version)
        except NotFound:
            return None

    def _logged(self, model_id: str) -> Any:
        try:
            with self._door.asking("logged model", model_id) as client:
                return client.get_logged_model(model_id)
        except NotFound:
            return None

    def _active_run(self, run_id: str) -> Any:
        try:
            with self._door.asking("run", run_id) as client:
                run = client.get_run(run_id)
        except NotFound:
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def _registered_from(self, source: str) -> set[tuple[str, str]]:
        """(name, version) of every registered version that points there."""
        if "'" in source:
            return set()  # MLflow's filters have no way to write it
        with self._door.asking("registered model version", source) as client:
            return {(v.name, str(v.version)) for v in client.search_model_versions(f"source_path = '{source}'")}


def _exists(client: MlflowClient, name: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True
