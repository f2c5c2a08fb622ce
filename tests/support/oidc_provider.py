"""A small OpenID provider on loopback: whoever types an address is signed in as that person, without a password.

Real where Decant and Streamlit meet it: discovery, authorization code with PKCE, ID tokens signed with RS256, key set,
end of the session. By hand: `python -m tests.support.oidc_provider 9400`, with `DECANT_OIDC_ISSUER=http://127.0.0.1:9400`,
`DECANT_OIDC_CLIENT_ID=decant` and `DECANT_OIDC_CLIENT_SECRET=not-a-secret`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.support.waiting import free_port

CLIENT_ID, CLIENT_SECRET = "decant", "not-a-secret"
FORM = """<!doctype html><title>Provider</title><h1>Who are you?</h1>
<form method="post"><label>E-mail <input name="email" autofocus></label>{hidden}<button>Go on</button></form>"""


class OidcProvider:
    """Serves from `start` to `stop`; `claims` are more claims of a person, by e-mail address."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.claims: dict[str, Mapping[str, Any]] = {}
        self.signed_in: list[str] = []
        """Whoever was given an ID token, in order."""
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, private=True)
        self._codes: dict[str, dict[str, str]] = {}
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> OidcProvider:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens on its port meanwhile."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    # -- what it answers -----------------------------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end_session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def keys(self) -> dict[str, Any]:
        return dict(KeySet([self._key]).as_dict(private=False))

    def code_for(self, email: str, asked: dict[str, str]) -> str:
        """Where the browser goes once somebody has said who they are. Raises ValueError for a foreign client."""
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            raise ValueError("unknown client or response type")
        code = secrets.token_urlsafe(16)
        self._codes[code] = {**asked, "email": email}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked.get('state', '')})}"

    def token(self, sent: dict[str, str], client: tuple[str, str]) -> dict[str, Any]:
        """The answer for a code, which works once. Raises ValueError for what does not belong together."""
        asked = self._codes.pop(sent.get("code", ""), None)
        if client != (CLIENT_ID, CLIENT_SECRET) or asked is None or sent.get("redirect_uri") != asked["redirect_uri"]:
            raise ValueError("wrong client, code or redirect_uri")
        if "code_challenge" in asked and _challenge(sent.get("code_verifier", "")) != asked["code_challenge"]:
            raise ValueError("wrong code_verifier")
        email, now = asked["email"], int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": hashlib.sha256(email.encode()).hexdigest()[:16],
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "email": email,
            "email_verified": True,
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
            **self.claims.get(email, {}),
        }
        self.signed_in.append(email)
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key),
        }


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _flat(query: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(query).items()}


def _handler(provider: OidcProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            asked = _flat(where.query)
            match where.path:
                case "/.well-known/openid-configuration":
                    self._json(provider.metadata())
                case "/jwks":
                    self._json(provider.keys())
                case "/authorize" if "login_hint" in asked:
                    self._send_back(asked.pop("login_hint"), asked)
                case "/authorize":
                    fields = "".join(
                        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
                        for name, value in asked.items()
                    )
                    self._answer(200, FORM.format(hidden=fields).encode(), "text/html; charset=utf-8")
                case "/end_session":
                    self._answer(302, b"", "text/plain", asked["post_logout_redirect_uri"])
                case "/favicon.ico":
                    self._answer(204, b"", "text/plain")
                case _:
                    self._answer(404, b"no such page", "text/plain")

        def do_POST(self) -> None:
            sent = _flat(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            if urlsplit(self.path).path == "/authorize":
                self._send_back(sent.pop("email"), sent)
                return
            try:
                self._json(provider.token(sent, self._client(sent)))
            except ValueError as error:
                self._json({"error": "invalid_grant", "error_description": str(error)}, 400)

        def _client(self, sent: dict[str, str]) -> tuple[str, str]:
            kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
            if kind.lower() != "basic":
                return sent.get("client_id", ""), sent.get("client_secret", "")
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
            return unquote(name), unquote(secret)

        def _send_back(self, email: str, asked: dict[str, str]) -> None:
            try:
                self._answer(302, b"", "text/plain", provider.code_for(email, asked))
            except ValueError as error:
                self._answer(400, str(error).encode(), "text/plain")

        def _json(self, value: dict[str, Any], status: int = 200) -> None:
            self._answer(status, json.dumps(value).encode(), "application/json")

        def _answer(self, status: int, body: bytes, kind: str, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet: what matters is in `signed_in`."""

    return Handler


if __name__ == "__main__":
    served = OidcProvider(int(sys.argv[1]) if len(sys.argv) > 1 else None).start()
    sys.stdout.write(f"{served.issuer}\n")
    sys.stdout.flush()
    threading.Event().wait()
