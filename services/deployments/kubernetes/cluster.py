"""The only door to the `kubernetes` client: which cluster, who calls, and JSON in and out of its API server.

The client is used for what it is best at (kubeconfig, in-cluster accounts, exec plugins, tokens that rotate, TLS) and
not for its typed models: those refuse objects of older and newer clusters that lack a field or have one too many.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from services.deployments.kubernetes.failures import PART, failure, says_itself
from services.domain.person import check_person
from services.errors import InvalidInput, Unavailable

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class Cluster:
    """One cluster, spoken to as one account. Thread-safe; nothing is asked or read before the first call.

    Args:
        kubeconfig: path of a kubeconfig; empty: `KUBECONFIG`, `~/.kube/config`, or the pod's own service account.
        context: name of a context in it; empty: the current one.
    """

    def __init__(self, kubeconfig: str = "", context: str = "") -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._lock = threading.Lock()
        self._api: client.ApiClient | None = None

    @property
    def address(self) -> str:
        """URL of the API server. Raises Unavailable without a usable configuration."""
        return str(self._client().configuration.host).rstrip("/")

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET an object or a list. Raises what `failure` makes of the answer."""
        return self.send("GET", path, query=query)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        as_user: str = "",
    ) -> dict[str, Any]:
        """One request; the answer as plain data.

        Args:
            path: such as `/api/v1/namespaces/seldon/pods`; its parts are the caller's, already checked names.
            as_user: the person whose rights the API server applies instead of ours (impersonation); empty: ourselves.

        Raises:
            ApiRefused: the API server answered with an error; carries its Status object.
            Unavailable: it did not answer.
        """
        with self._answer(method, path, body, content_type, query, as_user, READ_TIMEOUT_S) as answer:
            return _parsed(answer.data)

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """GET something that is not JSON, such as a log."""
        with self._answer("GET", path, None, JSON, query, "", READ_TIMEOUT_S) as answer:
            return str(answer.data.decode(errors="replace"))

    @property
    def inside(self) -> bool:
        """Whether we run in the cluster that we speak to, where its Services have addresses."""
        return not self._kubeconfig and not self._context and _SERVICE_ACCOUNT.exists()

    def pass_on(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        as_user: str = "",
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request to what is behind the API server, as it stands; its status, headers and body, whatever they say.

        `as_user` is as in `send`: whether it is passed on is decided by that person's rights.

        Raises:
            Forbidden, Unavailable: the API server itself refuses us, or does not answer.
        """
        api = self._client()
        try:
            _, url, sent, *_ = api.param_serialize(
                method, path, header_params={**headers, **_acting_as(as_user)}, auth_settings=["BearerToken"]
            )
            answer = api.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=sent,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                PART, f"{self.address}: {_short(error)}", "Is it up, and may this machine reach it?"
            ) from error
        except (ApiException, ConfigException) as error:
            raise Unavailable(PART, str(error.args[0] if error.args else error)) from error
        if answer.status in (401, 403) and says_itself(answer.data):
            if answer.status == 401:
                self._forget(api)
            raise failure(answer.status, answer.data, method, path)
        return answer.status, answer.headers, answer.data

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str], *, silence_s: float) -> Iterator[Iterator[dict[str, Any]]]:
        """A watch, opened: its events until the server ends it. Raises Unavailable after `silence_s` without a byte."""
        with self._answer("GET", path, None, JSON, {**query, "watch": "true"}, "", silence_s) as answer:
            yield _events(answer)

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: object,
        content_type: str,
        query: Mapping[str, str] | None,
        as_user: str,
        read_timeout_s: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        api = self._client()
        headers = {"Accept": JSON, "Content-Type": content_type, **_acting_as(as_user)}
        try:
            request = api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                auth_settings=["BearerToken"],
            )
            answer = api.call_api(*request[:3], body, _request_timeout=(CONNECT_TIMEOUT_S, read_timeout_s)).response
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                PART, f"{self.address}: {_short(error)}", "Is it up, and may this machine reach it?"
            ) from error
        except (ApiException, ConfigException) as error:
            raise Unavailable(PART, str(error.args[0] if error.args else error)) from error
        try:
            if answer.status == 401:
                self._forget(api)  # the next call reads the kubeconfig anew, with the token that was put there since
            if answer.status >= 400:
                raise failure(answer.status, answer.data, method, path)
            yield answer
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(PART, f"{self.address}: {_short(error)}") from error
        finally:
            answer.close()  # before its end a watch cannot be given back to the pool
            answer.release_conn()

    def _client(self) -> client.ApiClient:
        with self._lock:
            if self._api is None:
                self._api = client.ApiClient(self._configuration())
            return self._api

    def _forget(self, api: client.ApiClient) -> None:
        with self._lock:
            if self._api is api:
                self._api = None

    def _configuration(self) -> client.Configuration:
        found = client.Configuration()
        try:
            if self.inside:
                config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(  # type: ignore[no-untyped-call]
                    self._kubeconfig or None, self._context or None, client_configuration=found
                )
        except ConfigException as error:
            if self._context:
                raise InvalidInput(
                    f"The kubeconfig has no usable context “{self._context}”: {error}.",
                    "`kubectl config get-contexts` lists those there are.",
                ) from error
            raise Unavailable(
                PART,
                str(error),
                "Name a kubeconfig with DECANT_KUBECONFIG or KUBECONFIG, or run Decant in the cluster.",
            ) from error
        found.retries = urllib3.Retry(connect=1, read=0, status=0, redirect=0, other=0)
        return found


def _acting_as(person: str) -> dict[str, str]:
    """The header that makes a call somebody else's; empty for ourselves. Raises Forbidden for a name of nobody."""
    if not person:
        return {}
    check_person(person)
    return {"Impersonate-User": person.encode().decode("latin-1")}  # what the server reads as UTF-8


def _events(answer: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    buffer = b""
    try:
        for chunk in answer.stream(amt=None, decode_content=True):
            *lines, buffer = (buffer + chunk).split(b"\n")
            yield from (_parsed(line) for line in lines if line)
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(PART, f"the watch broke off: {_short(error)}") from error


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise Unavailable(PART, "what answers at its address is not a Kubernetes API server") from error
    return parsed if isinstance(parsed, dict) else {}


def _short(error: Exception) -> str:
    """The cause without the pool and the object's address that urllib3 wraps around it."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rsplit(": ", 1)[-1]
