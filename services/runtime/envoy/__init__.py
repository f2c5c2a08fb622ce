"""The gateway: what Envoy is told, how it is started, and what it says about itself.

Envoy reads two files, one with the clusters (who can answer) and one with the routes (who shall answer), and reloads
each when it is replaced. Everything that makes those files is pure; `files` writes them, `admin` reads back what is
in force. docs/gateway.md says what clients may rely on.
"""

from __future__ import annotations

from services.runtime.envoy.bootstrap import command
from services.runtime.envoy.files import EnvoyFiles
from services.settings import Settings

__all__ = ["EnvoyFiles", "command", "prepare"]


def prepare(settings: Settings) -> None:
    """Write what Envoy needs to start: the bootstrap, and empty cluster and route files where there are none."""
    EnvoyFiles(settings).prepare()
