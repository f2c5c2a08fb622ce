"""A stand-in API server that runs everywhere, over HTTP: enough for KubernetesEngine's reads, watches and writes.

What it cannot show is in tests/support/kube_store.py; tests/contract/test_api_server.py asks it and a real one alike.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import yaml

from services.deployments.kubernetes.cluster import APPLY, JSON_PATCH
from services.deployments.kubernetes.permission import REVIEWS
from tests.support.api_server import TestCluster
from tests.support.kube_patches import laid_over, patched
from tests.support.kube_store import KINDS, Object, Place, Refusal, Store
from tests.support.kube_stub import write_kubeconfig

LOOK_EVERY_S = 1.0
PROXIED = re.compile(r"/api/v1/namespaces/([^/]+)/services/([^/:]+)(?::[^/]+)?/proxy(/.*)?")
PROXY_TIMEOUT_S = 30
KEPT_BACK = ("host", "authorization", "impersonate-user")
"""Headers that are for the API server alone."""
HOP_BY_HOP = ("content-length", "content-encoding", "transfer-encoding", "connection", "date", "server")


def place_of(path: str) -> tuple[Place, str]:
    """What a path names, and the subresource of it ("": the object itself). Raises Refusal for what is not served."""
    _, *parts = path.split("/")
    api, rest = ("/".join(parts[1:3]), parts[3:]) if parts[0] == "apis" else ("/".join(parts[1:2]), parts[2:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *more = [*rest, "", "", ""][: max(3, len(rest))]
    if (api, plural) not in KINDS or more or subresource not in ("", "status"):
        raise Refusal(404, "", "404 page not found")
    return Place(api, plural, namespace, name), subresource


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, store: Store, closed: threading.Event, *args: Any) -> None:
        self.store, self.closed = store, closed
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._create)

    def do_PUT(self) -> None:
        self._answer(self._replace)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, work: Any) -> None:
        url = urlparse(self.path)
        self.query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.manager = self.query.get("fieldManager") or self.headers.get("User-Agent", "").split("/")[0]
        self.dry_run = self.query.get("dryRun") == "All"
        try:
            if (url.path, self.command) == (REVIEWS, "POST"):
                self._json(201, {**self._sent(), "status": {"allowed": True}})
                return
            if proxied := PROXIED.fullmatch(url.path):
                self._proxy(*proxied.groups(default="/"))
                return
            self.at, self.subresource = place_of(url.path)
            work()
        except Refusal as refused:
            status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": refused.code}
            told = {**status, "reason": refused.reason, "message": refused.message}
            self._json(refused.code, told) if refused.reason else self._write(refused.code, refused.message.encode())

    def _proxy(self, namespace: str, service: str, path: str) -> None:
        """Pass a request on to the first address of a Service."""
        subsets = self.store.get(Place("v1", "endpoints", namespace, service)).get("subsets") or []
        if not any(subset.get("addresses") for subset in subsets):
            raise Refusal(503, "ServiceUnavailable", f'no endpoints available for service "{service}"')
        to = f"http://{subsets[0]['addresses'][0]['ip']}:{subsets[0]['ports'][0]['port']}{path}"
        kept = {key: value for key, value in self.headers.items() if key.lower() not in KEPT_BACK}
        try:
            answer = httpx.request(self.command, to, content=self.body, headers=kept, timeout=PROXY_TIMEOUT_S)
        except httpx.TransportError as error:
            raise Refusal(503, "ServiceUnavailable", f"error trying to reach service: {error}") from error
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in HOP_BY_HOP:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def _read(self) -> None:
        if self.at.name:
            self._json(200, self.store.get(self.at))
        elif self.query.get("watch") == "true":
            self._watch()
        else:
            items, version = self.store.collection(self.at)
            items = [one for one in items if self._selected(one)]
            kind = f"{KINDS[self.at.api, self.at.plural]}List"
            metadata = {"resourceVersion": str(version)}
            self._json(200, {"apiVersion": self.at.api, "kind": kind, "metadata": metadata, "items": items})

    def _create(self) -> None:
        self._json(201, self.store.create(self.at, self._sent(), self.manager, dry_run=self.dry_run))

    def _replace(self) -> None:
        sent = self._sent()
        if self.subresource:
            self._json(200, self.store.change_status(self.at, sent))
        else:
            self._json(200, self.store.change(self.at, lambda _: sent, self.manager, "Update", dry_run=self.dry_run))

    def _patch(self) -> None:
        form, sent = self.headers.get("Content-Type"), self._sent()
        if form not in (APPLY, JSON_PATCH) or self.subresource:
            raise Refusal(415, "UnsupportedMediaType", f"this stand-in takes no {form} here")
        operation, make = ("Apply", laid_over) if form == APPLY else ("Update", patched)
        made = self.store.change(
            self.at, lambda present: make(present, sent), self.manager, operation, dry_run=self.dry_run
        )
        self._json(200, made)

    def _delete(self) -> None:
        wanted = (self._sent() or {}).get("preconditions") or {}
        self.store.delete(self.at, wanted.get("uid", ""))
        self._json(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    def _watch(self) -> None:
        version = int(self.query["resourceVersion"])
        deadline = time.monotonic() + float(self.query.get("timeoutSeconds", 240))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):  # whoever watches has ended
            while not self.closed.is_set() and time.monotonic() < deadline:
                for event in self.store.after(self.at, version, LOOK_EVERY_S):
                    version = event.version
                    if self._selected(event.found):
                        line = json.dumps({"type": event.kind, "object": event.found}).encode() + b"\n"
                        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

    def _selected(self, found: Object) -> bool:
        wanted = [pair.split("=", 1) for pair in self.query.get("labelSelector", "").split(",") if pair]
        labels = found["metadata"].get("labels") or {}
        return all(labels.get(key) == value for key, value in wanted)

    def _sent(self) -> Any:
        return yaml.safe_load(self.body) if self.body else None  # an apply may be YAML, and JSON is YAML

    def _json(self, status: int, body: Object) -> None:
        self._write(status, json.dumps(body).encode(), "application/json")

    def _write(self, status: int, content: bytes, form: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", form)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a request is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running(folder: Path) -> Iterator[TestCluster]:
    """Serve an empty cluster; its kubeconfig is written into `folder`."""
    closed = threading.Event()
    server = _Server(("127.0.0.1", 0), partial(_Handler, Store(), closed))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield TestCluster(write_kubeconfig(folder, server.server_port))
    finally:
        closed.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
