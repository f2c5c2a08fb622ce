"""The same request as text to copy: for a terminal, for a notebook, for the tutorial's own client. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pprint import pformat
from typing import Any

from services.domain import Endpoint
from services.traffic.protocol import PREDICTIONS


def curl_text(endpoint: Endpoint, request: Mapping[str, Any]) -> str:
    """A `curl` command that sends `request`; safe to paste whatever the values are."""
    lines = [f"curl -s -X POST {shlex.quote(endpoint.url + PREDICTIONS)}", "-H 'Content-Type: application/json'"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in endpoint.headers]
    lines.append(f"-d {shlex.quote(json.dumps(request, ensure_ascii=False, default=str))}")
    return " \\\n  ".join(lines)


def python_text(endpoint: Endpoint, request: Mapping[str, Any]) -> str:
    """A Python program on `requests` alone that sends `request` and prints the answer."""
    headers = f",\n    headers={dict(endpoint.headers)!r}" if endpoint.headers else ""
    return (
        "import requests\n\n"
        f"body = {pformat(json.loads(json.dumps(request, default=str)), width=100, sort_dicts=False)}\n"
        "response = requests.post(\n"
        f"    {endpoint.url + PREDICTIONS!r},\n"
        f"    json=body{headers},\n"
        "    timeout=30,\n"
        ")\n"
        "response.raise_for_status()\n"
        "print(response.json())\n"
    )
