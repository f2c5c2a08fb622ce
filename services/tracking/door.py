"""The one door to MLflow: its client, opened late and asked briefly, and its errors in Decant's words.

MLflow takes about two seconds to import and, left alone, tries a dead server for minutes. So nothing here imports it
before the first question; clients give up early; and a server that has been silent for a while is asked a small
question with a short deadline before the real one.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.errors import DecantError, InvalidInput, NotFound, Rejected, Unavailable, without_secrets
from services.runtime.client_packages import CLIENT_PACKAGES

if TYPE_CHECKING:
    from mlflow import MlflowClient

PART = "MLflow"
PING_TIMEOUT_S = 1.5
FRESH_S = 5.0
"""A server that answered this recently is asked directly."""

_BRIEF = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # between two bytes, so long downloads are safe; a sort by metric takes 6 s
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
BUCKET = "MLflow's artifact bucket"
BUCKET_HINT = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and MLFLOW_S3_ENDPOINT_URL where Decant runs."
_set_here: set[str] = set()
_IMPORTING = threading.Lock()
_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"}
_UNFIT = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"}
_FORBIDDEN = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_SILENT = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "ABORTED"}


def import_mlflow() -> None:
    """Import MLflow as a whole, one thread at a time: its modules import each other, and two threads that enter from
    different ends see each other's half-made ones."""
    with _IMPORTING:
        import mlflow  # noqa: F401


class Door:
    """One tracking server (or store): a client, and a way of asking it that raises only Decant's errors."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri.rstrip("/") if tracking_uri.startswith("http") else tracking_uri
        self._client: MlflowClient | None = None
        self._answered_at = -FRESH_S

    @property
    def remote(self) -> bool:
        """Whether it is a server (HTTP) rather than a database or folder."""
        return urlsplit(self.tracking_uri).scheme in ("http", "https")

    @property
    def client(self) -> MlflowClient:
        """MLflow's client for this server; made on first use. Use inside `asking`."""
        if self._client is None:
            _keep_brief(self)
            import_mlflow()
            self._try_database()
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self.tracking_uri)
        return self._client

    @contextmanager
    def asking(self, kind: str = "", name: str = "") -> Iterator[MlflowClient]:
        """A client to ask about the `kind` called `name`.

        Raises NotFound, InvalidInput, Rejected, Unavailable.
        """
        if self.remote and time.monotonic() - self._answered_at > FRESH_S:
            self.ping()
        with self._translating(kind, name):
            yield self.client
        self._answered_at = time.monotonic()

    def ping(self) -> str:
        """The server's version (for a database or folder: its URI). Raises Unavailable within about two seconds."""
        if not self.remote:
            with self._translating("", ""):
                self.client.search_experiments(max_results=1)
            return self._shown
        _keep_brief(self)
        import_mlflow()
        from mlflow.utils import credentials, rest_utils

        asked: dict[str, Any] = {"endpoint": "/version", "method": "GET", "max_retries": 0, "timeout": PING_TIMEOUT_S}
        with self._translating("", ""):
            creds = credentials.get_default_host_creds(self.tracking_uri)  # type: ignore[no-untyped-call]
            answer = rest_utils.http_request(creds, **asked)  # type: ignore[no-untyped-call]
        if answer.status_code in (401, 403):
            raise self._refused(answer.status_code, answer.reason)
        version = str(answer.text).strip()
        if answer.status_code != 200 or not _VERSION.fullmatch(version):
            raise Unavailable(
                PART,
                f"what listens at {self._shown} is not an MLflow server: /version answered {answer.status_code}",
                self._hint,
            )
        self._answered_at = time.monotonic()
        return version

    def _try_database(self) -> None:
        """Open the database once: MLflow itself would go on trying for 100 s. Raises SQLAlchemyError, Unavailable."""
        if self.remote or "://" not in self.tracking_uri or self.tracking_uri.startswith("file:"):
            return
        import sqlalchemy as sa

        url = sa.make_url(self.tracking_uri)
        if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).parent.is_dir()):
            return  # MLflow makes the folder
        try:
            database = sa.create_engine(url)
        except ImportError as error:
            raise Unavailable(PART, f"no driver for {url.drivername}: {error}") from error
        with database.connect():
            pass
        database.dispose()

    @contextmanager
    def _translating(self, kind: str, name: str) -> Iterator[None]:
        import_mlflow()
        import requests
        from botocore.exceptions import BotoCoreError, ClientError
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except MlflowException as error:
            raise self._translated(error, kind, name) from error
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 500
            if status == 404:
                raise NotFound(kind or "answer", name) from error
            raise Rejected(PART, status, str(error)) from error
        except ClientError as error:
            raise _bucket_refused(error, kind, name) from error
        except BotoCoreError as error:
            raise Unavailable(BUCKET, _short(error), BUCKET_HINT) from error
        except ModuleNotFoundError as error:  # MLflow imports a bucket's client library when it first meets a bucket
            missing = (error.name or "of its store").split(".")[0]
            hint = f"Install it where Decant runs: pip install {CLIENT_PACKAGES.get(missing, missing)}"
            raise Unavailable(f"The store of {kind or 'MLflow'} “{name}”", f"no module {missing}", hint) from error
        except (requests.RequestException, SQLAlchemyError) as error:
            self._answered_at = -FRESH_S
            raise Unavailable(PART, f"{self._shown}: {_short(error)}", self._hint) from error

    def _translated(self, error: Any, kind: str, name: str) -> DecantError:
        code = str(error.error_code)
        words = str(error.message).removeprefix(f"{code}: ")
        if code in _ABSENT:
            return NotFound(kind or "answer", name)
        if code in _UNFIT:
            return InvalidInput(f"MLflow cannot use this: {words.rstrip('.')}.")
        if code in _FORBIDDEN:
            return self._refused(error.get_http_status_code(), words)
        if code in _SILENT or words.startswith("API request to") or _in_the_way(error):
            self._answered_at = -FRESH_S
            return Unavailable(PART, _connection_words(self._shown, words), self._hint)
        return Rejected(PART, error.get_http_status_code(), words)

    def _refused(self, status: int, words: str) -> DecantError:
        return Rejected(
            PART,
            status,
            words,
            "Give credentials in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
        )

    @property
    def _shown(self) -> str:
        return without_secrets(self.tracking_uri)

    @property
    def _hint(self) -> str:
        return "Is the tracking server up? Its address comes from MLFLOW_TRACKING_URI; without it Decant runs its own."


def patient(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of `environment` for a child that should talk to MLflow with MLflow's own patience."""
    return {name: value for name, value in environment.items() if name not in _set_here}


def _keep_brief(door: Door) -> None:
    # MLflow reads these at each request and has no per-client form of them. What a person has set stays.
    wanted = dict(_BRIEF)
    if not door.remote and urlsplit(door.tracking_uri).scheme in ("", "file"):
        wanted["MLFLOW_ALLOW_FILE_STORE"] = "true"  # whoever names a folder of runs wants it read
    for name, value in wanted.items():
        if name not in os.environ:
            os.environ[name] = value
            if name.startswith("MLFLOW_HTTP"):
                _set_here.add(name)


def _bucket_refused(error: Any, kind: str, name: str) -> DecantError:
    """What an S3 server answered to MLflow's client, in words."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if status == 404:
        return NotFound(kind or "file", name)
    code = str(error.response.get("Error", {}).get("Code", ""))
    return Rejected(BUCKET, status, f"{code or 'refused'} for {kind} {name}".strip(), BUCKET_HINT)


def _in_the_way(error: BaseException) -> bool:
    import requests
    from sqlalchemy.exc import OperationalError

    return isinstance(error.__cause__, requests.RequestException | OperationalError)


def _connection_words(uri: str, words: str) -> str:
    for sign, meaning in (
        ("Connection refused", "nothing listens there"),
        ("Name or service not known", "no such host"),
        ("nodename nor servname", "no such host"),
        ("Temporary failure in name resolution", "no such host"),
        ("timed out", "no answer in time"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("valid JSON", "something other than MLflow answers there"),
    ):
        if sign in words:
            return f"{uri}: {meaning}"
    status = re.search(r"(?:error code|too many) (\d{3})", words)
    return f"{uri}: HTTP {status.group(1)}" if status else f"{uri}: {without_secrets(words)[:200]}"


def _short(error: BaseException) -> str:
    return without_secrets(str(error)).splitlines()[0][:200] if str(error) else type(error).__name__
