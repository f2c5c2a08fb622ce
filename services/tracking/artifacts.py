"""Reading a model's small text files from wherever MLflow keeps them, without fetching the model itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from services.domain import ModelFacts
from services.errors import InvalidInput, NotFound, Unavailable
from services.schema import Signature
from services.tracking.door import Door
from services.tracking.needs import CONDA, read_facts
from services.tracking.signatures import read_example, read_signature, with_examples

MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"
MAX_TEXT_BYTES = 2 * 1024 * 1024
SERVED_FLAVOR = "python_function"


class Kept(Protocol):
    """A place whose models are read at its own address, not through MLflow's clients: the model store."""

    def holds(self, uri: str) -> bool: ...

    def texts(self, uri: str, wanted: Callable[[str, int | None], bool]) -> dict[str, str]: ...

    def fetch(self, uri: str, folder: Path, seen: Callable[[int, int], None]) -> Path: ...


@dataclass(frozen=True)
class ModelFiles:
    """What a model's own files say about it."""

    mlmodel_text: str
    signature: Signature
    input_example: list[list[Any]] | None
    flavors: tuple[str, ...]
    python_version: str
    requirements: tuple[str, ...]
    run_id: str | None
    model_id: str | None
    facts: ModelFacts


def read_model_files(door: Door, location: str, title: str, kept: Kept | None = None) -> ModelFiles:
    """Read the files at `location`, an artifact URI or a path; `title` names the model in errors.

    What lies in `kept` is asked for there alone. Raises NotFound when there is no MLmodel file, InvalidInput when it
    cannot be read or served.
    """
    if kept and kept.holds(location):
        texts = kept.texts(location, _wanted)
    else:
        texts = _read_local(Path(location)) if Path(location).is_dir() else _read_remote(door, location)
    if MLMODEL not in texts:
        raise NotFound("model", title)
    try:
        mlmodel = yaml.load(texts[MLMODEL], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise InvalidInput(f"The MLmodel file of “{title}” is not valid YAML.") from error
    if not isinstance(mlmodel, dict):
        raise InvalidInput(f"The MLmodel file of “{title}” is empty or not a mapping.")
    return _understand(mlmodel, texts, title)


def _understand(mlmodel: Mapping[str, Any], texts: Mapping[str, str], title: str) -> ModelFiles:
    flavors = mlmodel.get("flavors") or {}
    if SERVED_FLAVOR not in flavors:
        raise InvalidInput(
            f"Model “{title}” cannot be served: it has no {SERVED_FLAVOR} flavor, "
            f"only {', '.join(flavors) or 'none at all'}.",
            "Log it with a flavor that has a predict function, or wrap it in mlflow.pyfunc.PythonModel.",
        )
    signature = read_signature(mlmodel.get("signature"))
    example = None
    info = mlmodel.get("saved_input_example_info")
    if isinstance(info, dict) and info.get("artifact_path") in texts:
        example = read_example(info, texts[info["artifact_path"]], signature.names)
    requirements = [line.strip() for line in texts.get(REQUIREMENTS, "").splitlines()]
    return ModelFiles(
        mlmodel_text=texts[MLMODEL],
        signature=with_examples(signature, example),
        input_example=example,
        flavors=tuple(sorted(flavors)),
        python_version=str(flavors[SERVED_FLAVOR].get("python_version", "")),
        requirements=tuple(line for line in requirements if line and not line.startswith("#")),
        run_id=mlmodel.get("run_id"),
        model_id=mlmodel.get("model_id"),
        facts=read_facts(mlmodel, texts, signature.named),
    )


def _read_local(folder: Path) -> dict[str, str]:
    wanted = [f for f in folder.iterdir() if f.is_file() and _wanted(f.name, f.stat().st_size)]
    return {f.name: f.read_text(errors="replace") for f in wanted}


def _read_remote(door: Door, location: str) -> dict[str, str]:
    with door.asking("model", location), tempfile.TemporaryDirectory() as folder:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            repository: Any = get_artifact_repository(location, tracking_uri=door.tracking_uri)
            texts = {}
            for entry in repository.list_artifacts():
                if not entry.is_dir and _wanted(entry.path, entry.file_size):
                    file = Path(repository.download_artifacts(entry.path, folder))
                    texts[entry.path] = file.read_text(errors="replace")
        except ImportError as error:  # MLflow imports a bucket's client when it first meets such an address
            words = f"{location.partition('://')[0]}:// needs the Python module {error.name}, which is not installed"
            raise Unavailable("The model's store", words, "Install it where Decant runs.") from error
        return texts


def _wanted(name: str, size_bytes: int | None) -> bool:
    # Input examples are JSON in the model's root; serving_input_example.json repeats them in another form.
    small = (size_bytes or 0) <= MAX_TEXT_BYTES
    example = name.endswith(".json") and not name.startswith("serving_input")
    return name in (MLMODEL, REQUIREMENTS, CONDA) or (small and example)
