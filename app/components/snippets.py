"""The same request through the tutorial's own client, as text to copy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pprint import pformat
from typing import Any
from urllib.parse import urlsplit

from services.domain import SELDON, Endpoint


def by_gateway(endpoint: Endpoint) -> bool:
    """Whether `SeldonClient` can send there: Seldon's own protocol, through a gateway."""
    return endpoint.protocol == SELDON and "/seldon/" in urlsplit(endpoint.url).path and endpoint.through is None


def seldon_client_text(namespace: str, name: str, endpoint: Endpoint, request: Mapping[str, Any]) -> str:
    """A Python program with `SeldonClient` that sends `request` and shows how to send a reward back."""
    data = request.get("data", {})
    rows, names = data.get("ndarray", []), data.get("names", [])
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for row in rows for v in row)
    headers = f", headers={dict(endpoint.headers)!r}" if endpoint.headers else ""
    lines = ["import numpy as np", ""] if numeric else []
    lines = [*lines, "from seldon_core.seldon_client import SeldonClient", ""]
    lines += [
        "sc = SeldonClient(",
        f'    gateway="ambassador", gateway_endpoint="{urlsplit(endpoint.url).netloc}",',
        f'    namespace="{namespace}", deployment_name="{name}",',
        ")",
    ]
    if numeric:
        lines += [
            f"row = np.array({pformat(rows, width=100)})",
            f'answer = sc.predict(data=row, names={list(names)!r}, payload_type="ndarray"{headers})',
        ]
    else:  # an array of mixed types would turn its numbers into text
        lines += [f"body = {pformat(dict(request), width=100, sort_dicts=False)}"]
        lines += [f"answer = sc.predict(raw_data=body{headers})"]
    divided = ["# (An ingress of Seldon's divides feedback again, so it may land on another arm; Decant's does not.)"]
    lines += [
        "print(answer.response)",
        "",
        "# Once the truth is known:",
        *(divided if endpoint.arms else []),
        "sc.feedback(prediction_request=answer.request, prediction_response=answer.response, reward=1.0)",
    ]
    return "\n".join(lines) + "\n"
