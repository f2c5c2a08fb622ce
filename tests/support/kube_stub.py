"""The HTTP side of an API server, scripted: for what a real one does too rarely to wait for (an expired watch).

Objects that can be written are in kube_store.py and kube_server.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import yaml


class Script:
    """What the stand-in answers. `watches` holds one list of events for each watch that will be opened, in order; the
    last one stays open until `watches_end` or the stand-in closes. `answers` holds single objects by path; other paths
    are lists. `refuse` answers all that is read, or what has a path that ends with `refuse_what`.
    `asked` is what came in: method, path, and as whom."""

    def __init__(self, *, objects: list[dict[str, Any]], version: str = "10") -> None:
        self.objects, self.version = objects, version
        self.watches: list[list[dict[str, Any]]] = []
        self.lists = 0
        self.watched_from: list[str] = []
        self.refuse: tuple[int, dict[str, Any]] | None = None
        self.refuse_what = ""
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.port = 0
        self.closed = threading.Event()
        self.watches_end = threading.Event()


@contextmanager
def serving(script: Script, folder: Path) -> Iterator[Path]:
    """Serve the script; yields the path of a kubeconfig that leads to it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = self._note()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._json(*(script.refuse or (200, script.answers[path])))

        def _note(self) -> str:
            path = urlparse(self.path).path
            script.asked.append((self.command, path, self.headers.get("Impersonate-User", "")))
            return path

        def do_GET(self) -> None:
            self._note()
            query = {key: values[0] for key, values in parse_qs(urlparse(self.path).query).items()}
            if script.refuse is not None and urlparse(self.path).path.endswith(script.refuse_what):
                self._json(*script.refuse)
            elif (path := urlparse(self.path).path) in script.answers:
                self._json(200, script.answers[path])
            elif "/seldondeployments/" in path:
                self._item(path.rsplit("/", 1)[-1])
            elif query.get("watch") == "true":
                self._watch(query)
            else:
                script.lists += 1
                self._json(200, {"metadata": {"resourceVersion": script.version}, "items": script.objects})

        def _item(self, name: str) -> None:
            found = [o for o in script.objects if o["metadata"]["name"] == name]
            missing = {"kind": "Status", "reason": "NotFound", "message": f'seldondeployments "{name}" not found'}
            self._json(200, found[0]) if found else self._json(404, missing)

        def _watch(self, query: dict[str, str]) -> None:
            script.watched_from.append(query["resourceVersion"])
            last = len(script.watches) <= 1
            events = script.watches[0] if last and script.watches else script.watches.pop(0) if script.watches else []
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            while last and not script.watches_end.is_set() and not script.closed.wait(0.05):
                pass
            with suppress(ConnectionError):  # whoever watched has ended meanwhile
                self.wfile.write(b"0\r\n\r\n")

        def _json(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield write_kubeconfig(folder, server.server_port)
    finally:
        script.closed.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def write_kubeconfig(folder: Path, port: int) -> Path:
    """A kubeconfig that leads to an HTTP server on this machine."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file
