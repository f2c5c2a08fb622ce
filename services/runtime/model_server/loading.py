"""From a model URI to a loaded model, by way of a cache of downloads that outlives MLflow's absence.

URIs that name one version for good (a logged model, a run's model, a registered version) are downloaded once: into a
temporary folder, renamed when complete, so that a killed download leaves nothing that looks like a model. Others (an
alias, a bucket) are downloaded at every start, and the last download is used when their source does not answer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import mlflow
import mlflow.pyfunc
import requests
from botocore.exceptions import BotoCoreError, ClientError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from services.errors import DecantError, InvalidInput, NotFound, StartFailed, Unavailable, without_secrets
from services.runtime.client_packages import CLIENT_PACKAGES
from services.runtime.model_server.failures import RequestFailed
from services.runtime.model_server.model import Model
from services.runtime.model_server.options import ServerOptions
from services.runtime.model_server.parts import Part

log = logging.getLogger(__name__)

MLMODEL = "MLmodel"
_PART = "The model"
_IMMUTABLE = re.compile(r"models:/(m-[^/@]+|[^/@]+/\d+)/?|runs:/[^/]+/.+")
_MISSING = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)


def load_model(options: ServerOptions) -> Model:
    """Fetch and load. Raises a DecantError whose one line says what is wrong with which model."""
    if options.tracking_uri:
        mlflow.set_tracking_uri(options.tracking_uri)
    folder = fetch_model(options.model_uri, options.models_dir)
    log.info("The model's files are there; loading them")
    pyfunc = _load(folder, options.model_uri)
    model = Model(pyfunc, dataframe_input=options.dataframe_input)
    model.examples = _examples(model, pyfunc)
    return model


def fetch_model(uri: str, models_dir: Path | None) -> Path:
    """The folder on disk that holds the model. Raises NotFound, Unavailable, InvalidInput."""
    local = _local_folder(uri)
    if local is not None:
        if not (local / MLMODEL).is_file():
            raise NotFound("MLflow model", str(local))
        return local
    cache = models_dir or Path(tempfile.mkdtemp(prefix="decant-model-"))
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / cache_name(uri)
    cached = (target / MLMODEL).is_file()
    if cached and _IMMUTABLE.fullmatch(uri):
        log.info("Using the downloaded copy of %s", uri)
        return target
    try:
        _download(uri, cache, target)
    except Unavailable as error:
        if not cached:
            raise
        log.warning("%s Using the copy of %s that was downloaded before.", error, uri)
    return target


def cache_name(uri: str) -> str:
    """A folder name that people can read and that no two URIs share."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", uri).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(uri.encode()).hexdigest()[:10]}"


def _local_folder(uri: str) -> Path | None:
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    if parsed.scheme in ("", None):
        return Path(uri).expanduser()
    return None


def _download(uri: str, cache: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as temporary:
        try:
            got = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=temporary))
        except MlflowException as error:
            raise _fetch_error(uri, error) from error
        except ImportError as error:  # MLflow imports a bucket's client library when it first meets such an address
            raise _client_missing(uri, error) from error
        except (OSError, requests.RequestException, BotoCoreError, ClientError) as error:
            raise Unavailable("The model store", f"{uri}: {_first_line(error)}") from error
        if not (got / MLMODEL).is_file():
            found = ", ".join(sorted(p.name for p in got.iterdir())[:8]) if got.is_dir() else got.name
            raise InvalidInput(f"{uri} holds no MLflow model (found: {found or 'nothing'}).")
        _replace(got, target)


def _client_missing(uri: str, error: ImportError) -> StartFailed:
    module = error.name or "of its store"
    top = module.split(".")[0]
    package = CLIENT_PACKAGES.get(top, top)
    return StartFailed(
        _PART,
        f"{without_secrets(uri)} cannot be fetched without the Python package {package} (no module {module})",
        hint=f"Install it where Decant runs: pip install {package}",
    )


def _replace(fresh: Path, target: Path) -> None:
    """Put a finished download in place; when another replica was faster, its copy is as good."""
    old = target.with_name(f".old-{target.name}-{os.getpid()}")
    try:
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError:
        if not (target / MLMODEL).is_file():
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _fetch_error(uri: str, error: MlflowException) -> DecantError:
    text = _first_line(error)
    if error.error_code == _MISSING or "not found" in text.lower() or "No such" in text:
        return NotFound("model", uri)
    if isinstance(error.__cause__ or error.__context__, requests.RequestException) or "max retries" in text.lower():
        return Unavailable("MLflow", f"while fetching {uri}", f"Check {without_secrets(mlflow.get_tracking_uri())}.")
    if "API request to" in text or "Connection" in text:
        return Unavailable("MLflow", f"{uri}: {text}", f"Check {without_secrets(mlflow.get_tracking_uri())}.")
    return InvalidInput(f"{uri} cannot be fetched: {text}")


def _load(folder: Path, uri: str) -> Any:
    try:
        return mlflow.pyfunc.load_model(str(folder))
    except ModuleNotFoundError as error:
        hint = f"Install it where Decant runs: pip install {(error.name or '').split('.')[0]}"
        raise StartFailed(_PART, f"{uri} needs the module {error.name}, which is not installed", hint=hint) from error
    except MlflowException as error:
        if "python_function" in str(error):
            raise StartFailed(_PART, f"{uri} has no python_function flavour, so MLflow cannot serve it") from error
        raise StartFailed(_PART, f"{uri} cannot be loaded: {_first_line(error)}") from error
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        why = f"{uri} cannot be unpickled here: {type(error).__name__}: {_first_line(error)}"
        hint = "Its libraries probably differ from the installed ones; see its requirements.txt."
        raise StartFailed(_PART, why, hint=hint) from error
    except Exception as error:
        # Foreign code runs while unpickling and in load_context: whatever it raises ends this start.
        log.info("Loading failed", exc_info=error)
        raise StartFailed(_PART, f"{uri} cannot be loaded: {type(error).__name__}: {_first_line(error)}") from error


def _examples(model: Model, pyfunc: Any) -> list[Part]:
    """The rows of the model's input example, each as a request would bring it; none if there is no usable example."""
    example = pyfunc.input_example
    if not model.brief or example is None:
        return []
    try:
        if hasattr(example, "to_dict"):
            return [model.reader.from_json([row], "input example") for row in example.to_dict(orient="records")]
        return [model.reader.from_rows([row], (), "input example") for row in getattr(example, "tolist", list)()]
    except (DecantError, RequestFailed, TypeError) as error:
        log.info("The model's own input example cannot be used: %s", error)
        return []


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return without_secrets(lines[0] if lines else type(error).__name__)[:300]
