"""Supervisord's configuration files, as text. Pure: nothing here touches a disk."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.sockets import socket_path
from services.runtime.tether import INSTANCE_VARIABLE
from services.settings import ROOT, StatePaths

LOG_MAX_BYTES = "5MB"
LOG_BACKUPS = 2


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep alive.

    Attributes:
        name: its name in supervisord, in logs and in `DECANT_PART`.
        command: argv.
        environment: variables on top of supervisord's own.
        steady_s: an exit sooner than this counts as a failed start; after `retries` of them supervisord gives up.
        retries: failed starts in a row that are forgiven.
        stop_s: seconds between TERM and KILL.
        priority: lower starts earlier and stops later.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    steady_s: int = 3
    retries: int = 10
    stop_s: int = 10
    priority: int = 500


def program_section(program: Program, paths: StatePaths) -> str:
    """The `[program:x]` section. Every part runs under a tether, so it neither outlives its parent nor runs twice."""
    tethered = [sys.executable, "-m", "services.runtime.tether", program.name, "--", *program.command]
    lines = [
        f"[program:{program.name}]",
        f"command={_escape(_uncommented(shlex.join(tethered)))}",
        f"directory={_escape(str(ROOT))}",
        f"stdout_logfile={_escape(str(log_path(paths, program.name)))}",
        f"stdout_logfile_maxbytes={LOG_MAX_BYTES}",
        f"stdout_logfile_backups={LOG_BACKUPS}",
        "redirect_stderr=true",
        "autostart=true",
        "autorestart=true",
        f"startsecs={program.steady_s}",
        f"startretries={program.retries}",
        f"stopwaitsecs={program.stop_s}",
        "stopasgroup=true",
        "killasgroup=true",
        f"priority={program.priority}",
    ]
    if program.environment:
        pairs = ",".join(f"{key}={_quote(value)}" for key, value in sorted(program.environment.items()))
        lines.append(f"environment={pairs}")
    return "\n".join(lines) + "\n"


def supervisord_config(programs: Sequence[Program], paths: StatePaths) -> str:
    """The main file: the fixed programs, and an include for the model servers that the controller adds."""
    head = f"""\
[unix_http_server]
file={_escape(str(socket_path(paths.supervisor_socket)))}
chmod=0600

[supervisord]
nodaemon=true
logfile={_escape(str(paths.log / "supervisord.log"))}
logfile_maxbytes={LOG_MAX_BYTES}
logfile_backups={LOG_BACKUPS}
loglevel=info
pidfile={_escape(str(paths.supervisor / "supervisord.pid"))}
childlogdir={_escape(str(paths.log))}
nocleanup=true
minfds=4096
environment={INSTANCE_VARIABLE}={_quote(str(paths.root))},PYTHONUNBUFFERED="1"

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={_escape(str(conf_folder(paths)))}/*.ini
"""
    return "\n".join([head, *(program_section(p, paths) for p in programs)])


def log_path(paths: StatePaths, program: str) -> Path:
    return paths.log / f"{program}.log"


def conf_folder(paths: StatePaths) -> Path:
    return paths.supervisor / "conf.d"


def _escape(text: str) -> str:
    """Supervisord expands `%(...)s` in every value."""
    return text.replace("%", "%%")


def _uncommented(command: str) -> str:
    """Keep supervisord from reading the rest of the line as a comment after a blank and `#` or `;`.

    Shell quoting has put such a character inside single quotes, so closing and opening them there changes nothing.
    """
    return re.sub(r"(?<=\s)(?=[#;])", "''", command)


def _quote(value: str) -> str:
    escaped = _escape(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
