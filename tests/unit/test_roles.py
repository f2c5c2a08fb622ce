"""From the claims of a sign-in to a person: who is a lead, who looks on, who is told to leave, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.access.roles import person_of
from services.domain import Person, Role
from services.errors import Forbidden
from services.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def claims(email: str | None = "ada@example.com", **more: Any) -> dict[str, Any]:
    issued = int((NOW - timedelta(hours=1)).timestamp())
    return {"is_logged_in": True, "iat": issued, **({"email": email} if email else {}), **more}


def person(given: dict[str, Any], **settings: Any) -> Person:
    return person_of(given, Settings(sign_in="oidc", **settings), NOW)


@pytest.mark.parametrize(
    ("given", "settings", "role"),
    [
        (claims(), {"leads": "bob@example.com, Ada@Example.com"}, Role.LEAD),
        (claims(), {"leads": "*@example.com"}, Role.LEAD),
        (claims(), {"leads": "bob@example.com"}, Role.VIEWER),
        (claims(), {}, Role.VIEWER),
        (claims(), {"viewers": "ada@example.com"}, Role.VIEWER),
        (claims(), {"leads": "ada@example.com", "viewers": "ada@example.com"}, Role.LEAD),
        (claims(groups=["x", "decant-lead"]), {"roles_claim": "groups"}, Role.LEAD),
        (claims(groups=["decant-viewer"]), {"roles_claim": "groups"}, Role.VIEWER),
        (claims(groups="ml-heads staff"), {"roles_claim": "groups", "lead_role": "ml-heads"}, Role.LEAD),
        (claims(realm_access={"roles": ["decant-lead"]}), {"roles_claim": "realm_access.roles"}, Role.LEAD),
        (claims(**{"https://x.io/roles": ["decant-lead"]}), {"roles_claim": "https://x.io/roles"}, Role.LEAD),
        (claims(groups=["x"]), {"roles_claim": "groups", "viewers": "*"}, Role.VIEWER),
        (claims(groups=["x"]), {"roles_claim": "groups", "leads": "ada@example.com"}, Role.LEAD),
    ],
)
def test_roles_come_from_the_lists_and_from_the_claim(
    given: dict[str, Any], settings: dict[str, Any], role: Role
) -> None:
    assert person(given, **settings) == Person("ada@example.com", role)


@pytest.mark.parametrize(
    ("given", "settings", "words"),
    [
        ({}, {}, "not signed in"),
        ({"is_logged_in": False, "email": "ada@example.com"}, {"leads": "*"}, "not signed in"),
        ({"email": "test@example.com"}, {"leads": "*"}, "not signed in"),  # what Streamlit's health check comes with
        (claims(email=None), {"leads": "*"}, "carries no e-mail address"),
        (claims(email="  "), {"leads": "*"}, "carries no e-mail address"),
        (claims(email_verified=False), {"leads": "*"}, "has not verified"),
        (claims(email_verified="false"), {"leads": "*"}, "has not verified"),
        (claims(email_verified=None), {"leads": "*"}, "has not verified"),
        (claims(), {"viewers": "bob@example.com"}, "not invited"),
        (claims(groups=["x"]), {"roles_claim": "groups"}, "not invited"),
        (claims(groups={"decant-lead": 1}), {"roles_claim": "groups"}, "not invited"),
        (claims(), {"roles_claim": "groups.inner"}, "not invited"),
        (claims(), {"name_claim": "upn"}, "carries no claim “upn”"),
        (claims("system:kube-controller-manager"), {"leads": "*"}, "belong to the cluster itself"),
        (claims("System:admin"), {"leads": "*"}, "belong to the cluster itself"),
        (claims("ada@example.com\r\nImpersonate-Group: system:masters"), {"leads": "*"}, "control characters"),
        (claims(iat=None), {}, "does not say when"),
        (claims(iat=int((NOW - timedelta(hours=13)).timestamp())), {"leads": "*"}, "has ended"),
        (claims(iat=int((NOW + timedelta(hours=1)).timestamp())), {"leads": "*"}, "from the future"),
    ],
)
def test_whoever_has_no_role_is_told_why_and_what_to_do(
    given: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(Forbidden, match=words) as caught:
        person(given, **settings)
    assert caught.value.hint


def test_a_display_name_makes_nobody_a_lead() -> None:
    """People choose it themselves; only the claim that is the person's name is compared with the lists."""
    found = person(claims("eve@example.com", name="ada@example.com"), leads="ada@example.com")
    assert found == Person("eve@example.com", Role.VIEWER)


def test_another_claim_can_be_the_name() -> None:
    found = person(claims(preferred_username="ada", email_verified=False), name_claim="preferred_username", leads="ada")
    assert found == Person("ada", Role.LEAD)


def test_a_sign_in_lasts_as_long_as_the_settings_say() -> None:
    old = claims(iat=int((NOW - timedelta(hours=30)).timestamp()))
    assert person(old, sign_in_hours=31, leads="*").may_change
