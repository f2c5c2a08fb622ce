"""Every DECANT_* variable: typed, documented, validated. Nothing else in Decant reads the environment.

docs/settings.md is checked against this class by a test.
"""

from __future__ import annotations

import difflib
import getpass
import os
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from services.errors import InvalidInput
from services.settings.base import ROOT, Group
from services.settings.engine import EngineSettings
from services.settings.parts import EnvManager, PartSettings
from services.settings.paths import StatePaths
from services.settings.prometheus import PrometheusSettings
from services.settings.sign_in import SignInSettings
from services.settings.work import WorkSettings

__all__ = ["ROOT", "EnvManager", "Settings", "StatePaths", "load_settings", "unknown_variables"]

EVERY_INTERFACE = ("", "0.0.0.0", "::")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        return "unknown"


class StateSettings(Group):
    """Where everything is kept, and under whose name."""

    state_dir: Path = Field(
        ROOT / ".decant", description="Folder for all state: desired deployments, models, databases, logs."
    )
    user: str = Field(default_factory=_login_name, description="The name written beside every change in the history.")

    @cached_property
    def paths(self) -> StatePaths:
        return StatePaths(self.state_dir.expanduser().resolve())


class Settings(WorkSettings, PrometheusSettings, PartSettings, SignInSettings, EngineSettings, StateSettings):
    """Decant's settings; each field is the variable `DECANT_<NAME>`. Here is what follows from several groups."""

    @property
    def runs_prometheus(self) -> bool:
        return self.runs_locally and not self.prometheus_url

    @property
    def prometheus_address(self) -> str:
        """Empty where nobody has named one: a local Prometheus could not reach a cluster's pods."""
        if not self.runs_locally and not self.prometheus_url:
            return ""
        return (self.prometheus_url or f"http://127.0.0.1:{self.prometheus_port}").rstrip("/")

    @property
    def dashboard_url(self) -> str:
        """Where this machine finds the dashboard."""
        host = "127.0.0.1" if self.dashboard_address in EVERY_INTERFACE else self.dashboard_address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.dashboard_port}"

    @property
    def public_address(self) -> str:
        """Where people find it, without a slash at the end."""
        return self.public_url or self.dashboard_url

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_address).hostname or ""

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.paths.root / 'decant.db'}"


_OWN_VARIABLES = {"DECANT_INSTANCE", "DECANT_PART"}
"""What Decant's own processes are known by: see services.runtime.tether."""


def unknown_variables() -> dict[str, str]:
    """Variables of the environment that begin with DECANT_ and set nothing, each with the nearest that would ("" if
    none is near)."""
    known = ["DECANT_" + name.upper() for name in Settings.model_fields]
    strange = (name for name in os.environ if name.startswith("DECANT_") and name not in _OWN_VARIABLES)
    unknown = sorted(name for name in strange if name.upper() not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), "") for name in unknown}


def load_settings(**overrides: object) -> Settings:
    """Read the environment. Raises InvalidInput naming each bad variable."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        found = []
        for problem in error.errors():
            names = [str(part) for part in problem["loc"]]
            label = f"DECANT_{names[0].upper()}: " if names else ""
            found.append(label + problem["msg"].removeprefix("Value error, ").rstrip("."))
        raise InvalidInput(f"The settings are not usable: {'; '.join(found)}.", "See docs/settings.md.") from error
