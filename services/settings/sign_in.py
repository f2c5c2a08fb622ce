"""Settings of the dashboard's door: where it listens, who signs in how, and who may change things."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.settings.base import Group, listed

SignIn = Literal["off", "oidc"]
_SITE = re.compile(r"https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d{1,5})?")
"""What a Content-Security-Policy calls a host source, with a scheme."""


class SignInSettings(Group):
    """See docs/security.md."""

    sign_in: SignIn = Field(
        "off", description="Whether people sign in at the dashboard, through OpenID Connect. See docs/security.md."
    )
    leads: str = Field(
        "",
        description="Who may change things: e-mail addresses (or what `DECANT_NAME_CLAIM` says), separated by commas; "
        "`*@example.com` for all of a domain.",
    )
    viewers: str = Field(
        "",
        description="Who may look and change nothing. Empty: everybody who can sign in, or, with "
        "`DECANT_ROLES_CLAIM`, those whom the claim names.",
    )
    roles_claim: str = Field(
        "", description="Claim of the ID token whose values name roles: `groups`, `roles`, `realm_access.roles`."
    )
    lead_role: str = Field("decant-lead", description="Values of that claim that make a lead, separated by commas.")
    viewer_role: str = Field("decant-viewer", description="Values of that claim that make a viewer.")
    name_claim: str = Field(
        "email",
        description="Claim of the ID token that is a person's name in lists, history and, with Kubernetes, in the "
        "cluster's RBAC.",
    )
    sign_in_hours: float = Field(12.0, gt=0, le=720, description="How long a sign-in lasts, hours.")
    oidc_issuer: str = Field("", description="Address of the identity provider: its issuer, or its metadata document.")
    oidc_client_id: str = Field("", description="Decant's client id at the identity provider.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Decant's client secret.")
    oidc_client_secret_file: str = Field("", description="File that holds the client secret, as clusters mount them.")
    oidc_cookie_secret: SecretStr = Field(
        SecretStr(""),
        description="What signs the cookies; the same for all replicas of the dashboard. Empty: made once and kept in "
        "the state folder.",
    )
    oidc_cookie_secret_file: str = Field("", description="File that holds what signs the cookies.")
    oidc_scopes: str = Field("openid email profile", description="Scopes that Decant asks for.")
    public_url: str = Field(
        "",
        description="Address at which people open the dashboard, such as `https://decant.example.com`; signing in "
        "leads back there. Empty: where it listens.",
    )
    dashboard_address: str = Field(
        "127.0.0.1",
        description="Address on which the dashboard listens. Anything but this machine's own needs sign-in.",
    )
    allow_without_sign_in: bool = Field(
        False,
        description="Listen there without sign-in all the same: everybody who reaches the dashboard may then change "
        "everything.",
    )
    frame_ancestors: str = Field(
        "",
        description="Sites that may show the dashboard in a frame, separated by commas: `https://wiki.example.com`, "
        "`https://*.example.com`. Empty: none.",
    )

    @field_validator("dashboard_address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return value.strip().strip("[]")

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
            raise ValueError("is not an address like https://decant.example.com, without a path")
        return value

    @field_validator("frame_ancestors")
    @classmethod
    def _are_sites(cls, value: str) -> str:
        for site in listed(value):
            if not _SITE.fullmatch(site):
                raise ValueError(f"{site} is not a site like https://wiki.example.com, without a path")
        return value

    @property
    def framing_sites(self) -> list[str]:
        """Those of `frame_ancestors`."""
        return listed(self.frame_ancestors)
