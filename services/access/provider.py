"""The identity provider, as the dashboard needs it: the secrets file that Streamlit reads, and whether it answers."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import httpx

from services.errors import InvalidInput, Unavailable
from services.files import write_atomically, write_once
from services.settings import Settings

TIMEOUT_S = 5.0
WELL_KNOWN = "/.well-known/openid-configuration"
CALLBACK = "/oauth2callback"
PART = "The identity provider"


def secrets_file(settings: Settings) -> Path:
    """Where Streamlit finds what it needs to sign people in."""
    return settings.paths.root / "sign-in" / "secrets.toml"


def metadata_url(settings: Settings) -> str:
    """The provider's own description, from its issuer address."""
    issuer = settings.oidc_issuer.strip()
    return issuer if WELL_KNOWN in issuer else issuer.rstrip("/") + WELL_KNOWN


def write_secrets(settings: Settings) -> Path:
    """Write the secrets file, readable by this user alone. Raises InvalidInput naming the settings that are missing."""
    client_secret = _secret(settings.oidc_client_secret.get_secret_value(), settings.oidc_client_secret_file)
    cookie_secret = _secret(settings.oidc_cookie_secret.get_secret_value(), settings.oidc_cookie_secret_file)
    needed = {
        "DECANT_OIDC_ISSUER": settings.oidc_issuer,
        "DECANT_OIDC_CLIENT_ID": settings.oidc_client_id,
        "DECANT_OIDC_CLIENT_SECRET or DECANT_OIDC_CLIENT_SECRET_FILE": client_secret,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise InvalidInput(f"DECANT_SIGN_IN=oidc also needs {', '.join(missing)}.", "See docs/security.md.")
    file = secrets_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    values = {
        "redirect_uri": settings.public_address + CALLBACK,
        "cookie_secret": cookie_secret or _own_cookie_secret(file.parent),
        "client_id": settings.oidc_client_id,
        "client_secret": client_secret,
        "server_metadata_url": metadata_url(settings),
    }
    lines = ["[auth]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    lines += ["[auth.client_kwargs]", f"scope = {_toml(settings.oidc_scopes)}"]
    write_atomically(file, "\n".join(lines) + "\n")
    return file


def check_provider(settings: Settings) -> None:
    """Raises Unavailable if the provider does not describe itself: a sign-in would end on a bare error page."""
    where = metadata_url(settings)
    try:
        answer = httpx.get(where, timeout=TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
        known = answer.json()
        if "authorization_endpoint" not in known:
            raise ValueError("no authorization_endpoint in its answer")
    except (httpx.HTTPError, ValueError, TypeError) as error:
        hint = "Try again in a moment. If it stays, whoever runs Decant should look at DECANT_OIDC_ISSUER."
        raise Unavailable(PART, f"{where}: {error or type(error).__name__}", hint) from error


def _secret(value: str, file: str) -> str:
    """A secret from its variable, else from its file, as clusters mount them."""
    if value or not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The secret in {file} cannot be read: {error}.", "See docs/security.md.") from error


def _own_cookie_secret(folder: Path) -> str:
    """Made once, so that people stay signed in over a restart. Several dashboards must be given the same one."""
    return write_once(folder / "cookie-secret", secrets.token_urlsafe(48))


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # TOML's basic strings escape as JSON's do
