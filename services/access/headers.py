"""The headers that every answer of the dashboard carries, so that a browser keeps other sites from using it."""

from __future__ import annotations

from services.settings import Settings


def response_headers(settings: Settings) -> dict[str, str]:
    """By name, in lower case.

    Nobody may show the dashboard in a frame and have people click in it unseen, but the sites of
    DECANT_FRAME_ANCESTORS; files are what they are called; and other sites are not told which page somebody came from.
    """
    sites = settings.framing_sites
    found = {
        "content-security-policy": "frame-ancestors " + (" ".join(sites) or "'none'"),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    if not sites:  # for browsers that do not know the first; it cannot name sites
        found["x-frame-options"] = "DENY"
    return found
