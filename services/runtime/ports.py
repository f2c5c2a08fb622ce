"""Checking ports before anything starts, so that a taken one is named together with the setting that changes it."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from services.errors import PortTaken
from services.runtime.controller.replicas import can_bind
from services.runtime.parts import Part
from services.settings import Settings


def check_ports(settings: Settings, parts: Iterable[Part]) -> None:
    """Raises PortTaken for the first port that somebody else listens on."""
    needed = [(part.port, part.label, part.setting) for part in parts if part.port is not None]
    if settings.runs_locally:
        needed.append((settings.gateway_stats_port, "gateway's statistics", "DECANT_GATEWAY_STATS_PORT"))
    for port, label, setting in needed:
        if not can_bind(port):
            raise PortTaken(port, label, setting, _owner(port))


def _owner(port: int) -> str:
    """The program that listens on `port`, if the system tells us."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"“{psutil.Process(connection.pid).name()}” (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return ""
