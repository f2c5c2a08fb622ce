"""How Prometheus lets us in: credentials and certificates of one that is shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from services.errors import Unavailable

TENANT_HEADER = "X-Scope-OrgID"
"""How Mimir, Cortex and Loki name the tenant."""


@dataclass(frozen=True, slots=True)
class Access:
    """What goes with every request.

    Attributes:
        token: a bearer token; `token_file` names a file that holds it, read for every request, because the tokens of
            service accounts are renewed while we run.
        user, password: for basic auth.
        ca: a file of certificates to trust instead of the system's.
        tenant: whose data to ask for, where several share the server.
    """

    token: str = field(default="", repr=False)
    token_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    tenant: str = ""

    def dress(self, session: requests.Session) -> None:
        """Give the session what it needs to be let in."""
        if self.token or self.token_file:
            session.auth = _Bearer(self.token, self.token_file)
        elif self.user:
            session.auth = HTTPBasicAuth(self.user, self.password)
        if self.ca:
            session.verify = self.ca
        if self.tenant:
            session.headers[TENANT_HEADER] = self.tenant


OPEN = Access()
"""Everybody is let in."""


class _Bearer(AuthBase):
    def __init__(self, token: str, file: str) -> None:
        self._token, self._file = token, file

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            token = Path(self._file).read_text().strip() if self._file else self._token
        except OSError as error:
            raise Unavailable("Prometheus", f"its token cannot be read from {self._file}: {error.strerror}") from error
        request.headers["Authorization"] = f"Bearer {token}"
        return request
