"""The dashboard's process: looks where it may listen, writes what sign-in needs, and becomes Streamlit.

`python -m services.runtime.dashboard`. Whoever starts the dashboard starts this, so the checks cannot be forgotten.
"""

from __future__ import annotations

import logging
import os
import sys

from services.access.exposure import allowed_hosts, check_exposure
from services.access.provider import write_secrets
from services.errors import DecantError
from services.settings import ROOT, Settings, load_settings

log = logging.getLogger(__name__)


def prepare(settings: Settings) -> list[str]:
    """The command that serves the pages, once everything it needs is there.

    Raises InvalidInput if it may not listen there, or if sign-in is asked for and not set up.
    """
    check_exposure(settings, settings.dashboard_address)
    command = [
        *(sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "server.py")),
        f"--server.port={settings.dashboard_port}",
        f"--server.address={settings.dashboard_address}",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        f"--server.maxUploadSize={settings.max_upload_mb}",
        "--server.scriptHealthCheckEnabled=true",
        "--server.enableCORS=true",
        "--server.enableXsrfProtection=true",
        "--browser.gatherUsageStats=false",
    ]
    # An empty list must be said too: .streamlit/config.toml allows this machine's own names alone.
    hosts = allowed_hosts(settings) or ["*"]
    command += [f"--server.allowedHosts={host}" for host in hosts]
    if settings.public_url:
        command += [f"--server.corsAllowedOrigins={settings.public_address}"]
    if settings.sign_in == "oidc":
        command += [f"--secrets.files={write_secrets(settings)}"]
    return command


def main() -> None:
    """Become Streamlit, or end with the exit code of what is in the way."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    try:
        settings = load_settings()
        command = prepare(settings)
    except DecantError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)
    os.chdir(ROOT)
    # In place of this process, so that the signals of whoever started it arrive.
    os.execve(command[0], command, {**os.environ, "PYTHONPATH": str(ROOT)})


if __name__ == "__main__":
    main()
