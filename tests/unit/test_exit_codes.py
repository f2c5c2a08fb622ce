"""Exit codes: what a script may rely on."""

from __future__ import annotations

from app.cli.main import cli
from app.cli.verdict import DISTRUST, KEEP_RUNNING
from services.errors import DecantError, Forbidden


def error_codes() -> dict[type[DecantError], int]:
    found: dict[type[DecantError], int] = {}
    kinds = [DecantError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found[kind] = kind.exit_code
    return found


def test_no_error_passes_for_a_verdict() -> None:
    """A script that asks for a verdict must not take a refusal for an answer."""
    assert not {KEEP_RUNNING, DISTRUST} & set(error_codes().values())


def test_want_of_a_right_has_a_code_of_its_own() -> None:
    assert [kind for kind, code in error_codes().items() if code == Forbidden.exit_code] == [Forbidden]


def test_help_names_every_code() -> None:
    said = " ".join((cli.help or "").split())
    codes = {KEEP_RUNNING, DISTRUST, *error_codes().values()} - {DecantError.exit_code}
    assert [code for code in sorted(codes) if f" {code} " not in said] == []
