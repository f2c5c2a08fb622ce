"""From the claims of a sign-in to a person with a role, by the settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from services.domain import Person, Role
from services.domain.person import check_person
from services.errors import Forbidden
from services.settings import Settings

CLOCK_SKEW = timedelta(minutes=5)
"""How far the provider's clock may be ahead of this one."""

ASK_TO_BE_LET_IN = "Ask whoever runs Decant to let you in, or sign in as somebody else."


def person_of(claims: Mapping[str, Any], settings: Settings, now: datetime) -> Person:
    """The person behind the claims of an ID token that has been verified.

    Lists and claim go together: a lead is who is in DECANT_LEADS or has a lead's role in the claim. Where neither
    DECANT_VIEWERS nor DECANT_ROLES_CLAIM is set, everybody else who can sign in is a viewer.

    Raises Forbidden, with what to do: not signed in, signed in too long ago, no name, an e-mail address that is not
    verified, or nobody's role.
    """
    if not claims.get("is_logged_in"):
        raise Forbidden("You are not signed in.", "Sign in to go on.")
    _check_age(claims, settings, now)
    name = _name(claims, settings)
    roles = {role.casefold() for role in _values(claims, settings.roles_claim)}
    if _listed(name, settings.leads) or roles & set(_names(settings.lead_role)):
        return Person(name, Role.LEAD)
    everybody = not settings.viewers and not settings.roles_claim
    if everybody or _listed(name, settings.viewers) or roles & set(_names(settings.viewer_role)):
        return Person(name, Role.VIEWER)
    raise Forbidden(f"{name} is not invited to this Decant.", ASK_TO_BE_LET_IN)


def _check_age(claims: Mapping[str, Any], settings: Settings, now: datetime) -> None:
    """Streamlit keeps a sign-in for 30 days and looks at no time in it, so that is done here."""
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise Forbidden("Your sign-in does not say when it was made.", "Sign in again.")
    age = now - datetime.fromtimestamp(issued, UTC)
    if age > timedelta(hours=settings.sign_in_hours):
        raise Forbidden("Your sign-in has ended.", f"It lasts {settings.sign_in_hours:g} hours. Sign in again.")
    if age < -CLOCK_SKEW:
        raise Forbidden("Your sign-in is from the future.", "Compare the clocks of this machine and of the provider.")


def _name(claims: Mapping[str, Any], settings: Settings) -> str:
    claim = settings.name_claim
    name = claims.get(claim)
    if not isinstance(name, str) or not name.strip():
        called = "e-mail address" if claim == "email" else f"claim “{claim}”"
        raise Forbidden(
            f"Your sign-in carries no {called}, so nobody could tell who changed what.",
            "Let the identity provider send it, or set DECANT_NAME_CLAIM to another claim and DECANT_OIDC_SCOPES to "
            "what it needs.",
        )
    # Some providers send it as text; one that does not send it at all vouches for its addresses in another way.
    if claim == "email" and str(claims.get("email_verified", True)).casefold() not in ("true", "1"):
        raise Forbidden(
            f"The identity provider has not verified that {name} is yours.", "Verify the address there, then sign in."
        )
    check_person(name.strip())
    return name.strip()


def _values(claims: Mapping[str, Any], claim: str) -> list[str]:
    """The values of a claim, which may be a list, a text with several, or inside others (`realm_access.roles`)."""
    if not claim:
        return []
    found: Any = claims
    if claim in claims:
        found = claims[claim]  # names with dots in them, such as https://example.com/roles
    else:
        for key in claim.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [word for word in re.split(r"[,\s]+", found) if word]
    return [value for value in found if isinstance(value, str)] if isinstance(found, Sequence) else []


def _listed(name: str, listed: str) -> bool:
    return any(fnmatchcase(name.casefold(), pattern) for pattern in _names(listed))


def _names(listed: str) -> list[str]:
    return [name.strip().casefold() for name in listed.split(",") if name.strip()]
