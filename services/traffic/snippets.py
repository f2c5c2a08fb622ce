"""The same request as text to copy: for a terminal, for a notebook, for the tutorial's own client. Pure.

What Decant reaches through the API server is reached here by `kubectl port-forward`, with the reader's own credentials:
no snippet holds a token.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

from services.domain import V2, Endpoint
from services.traffic.inference import infer_path
from services.traffic.protocol import PREDICTIONS

LOCAL_PORT = 8000


def forward_text(endpoint: Endpoint) -> str:
    """The command that brings the endpoint's Service to this machine; empty where it has an address of its own."""
    to = endpoint.through
    return f"kubectl port-forward -n {to.namespace} service/{to.name} {LOCAL_PORT}:{to.port}" if to else ""


def url_text(endpoint: Endpoint) -> str:
    """Where a copied request goes: the endpoint, or this machine's end of `forward_text`."""
    base = f"http://localhost:{LOCAL_PORT}" if endpoint.through else endpoint.url
    return base + (infer_path(endpoint.model) if endpoint.protocol == V2 else PREDICTIONS)


def curl_text(endpoint: Endpoint, request: Mapping[str, Any]) -> str:
    """A `curl` command that sends `request`; safe to paste whatever the values are."""
    lines = [f"curl -s -X POST {shlex.quote(url_text(endpoint))}", "-H 'Content-Type: application/json'"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in endpoint.headers]
    lines.append(f"-d {shlex.quote(json.dumps(request, ensure_ascii=False, default=str))}")
    forward = f"# In another terminal: {forward_text(endpoint)}\n" if endpoint.through else ""
    return forward + " \\\n  ".join(lines)


def python_text(endpoint: Endpoint, request: Mapping[str, Any]) -> str:
    """A Python program on `requests` alone that sends `request` and prints the answer."""
    headers = f",\n    headers={dict(endpoint.headers)!r}" if endpoint.headers else ""
    forward = f"# In a terminal: {forward_text(endpoint)}\n" if endpoint.through else ""
    return (
        f"{forward}import requests\n\n"
        f"body = {pformat(json.loads(json.dumps(request, default=str)), width=100, sort_dicts=False)}\n"
        "response = requests.post(\n"
        f"    {url_text(endpoint)!r},\n"
        f"    json=body{headers},\n"
        "    timeout=30,\n"
        ")\n"
        "response.raise_for_status()\n"
        "print(response.json())\n"
    )
