"""Where the dashboard may listen: beyond this machine only if people sign in, or somebody said that they need not."""

from __future__ import annotations

import ipaddress

from services.errors import InvalidInput
from services.settings import Settings


def loopback(address: str) -> bool:
    """Whether only this machine reaches what listens on `address`; empty means every interface."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings, address: str) -> None:
    """Raises InvalidInput if the dashboard would let anybody on the network change things."""
    if loopback(address) or settings.sign_in == "oidc" or settings.allow_without_sign_in:
        return
    raise InvalidInput(
        f"The dashboard would listen on {address or 'every interface'}, and whoever reaches it could change "
        "everything, because nobody has to sign in.",
        "Set DECANT_SIGN_IN=oidc (docs/security.md), listen on 127.0.0.1, or, where something in front of it keeps "
        "strangers out, set DECANT_ALLOW_WITHOUT_SIGN_IN=true.",
    )


def open_gateway(settings: Settings) -> str:
    """One line where the local gateway listens beyond this machine; empty where it does not."""
    if not settings.runs_locally or loopback(settings.gateway_address):
        return ""
    where = settings.gateway_address or "every interface"
    return (
        f"Careful: the gateway listens on {where} and asks nobody who they are: "
        "whoever reaches it may send requests and rewards (docs/security.md)."
    )


def allowed_hosts(settings: Settings) -> list[str]:
    """Names under which the dashboard may be asked for; others are a foreign page that points its name here.

    Empty where nobody can tell: it listens on every interface and has no address of its own.
    """
    named = [settings.public_host] if settings.public_url else []
    if not named and not loopback(settings.dashboard_address):
        return []
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *named]))
