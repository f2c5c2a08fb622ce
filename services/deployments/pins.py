"""Requirement lines of a model, read: which package in which versions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def requirements(lines: Iterable[str]) -> dict[str, SpecifierSet]:
    """By canonical name; lines that are options, files or not for this platform are passed over."""
    found: dict[str, SpecifierSet] = {}
    for line in lines:
        try:
            one = Requirement(line.split(" #")[0].strip())
        except InvalidRequirement:
            continue
        if one.marker is None or one.marker.evaluate():
            found[canonicalize_name(one.name)] = one.specifier
    return found


def pinned(specifiers: SpecifierSet) -> Version | None:
    """The one version that `==` allows, if it is pinned so."""
    exact = [s.version for s in specifiers if s.operator in ("==", "===") and not s.version.endswith(".*")]
    return version(exact[0]) if len(exact) == 1 else None


def version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def clashes(wanted: Mapping[str, SpecifierSet], given: Mapping[str, str]) -> dict[str, tuple[Version, str]]:
    """Pins of a model that the server's own requirements rule out: name -> (the pin, what the server wants)."""
    found = {}
    for name, rule in given.items():
        pin = pinned(wanted[name]) if name in wanted else None
        if pin is not None and not SpecifierSet(rule).contains(pin, prereleases=True):
            found[name] = (pin, rule)
    return found
