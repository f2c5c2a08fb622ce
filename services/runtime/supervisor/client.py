"""Talking to supervisord over its unix socket: the only place that knows its XML-RPC methods."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from services.errors import Rejected, Unavailable

TIMEOUT_S = 5.0
_BAD_NAME, _NOT_RUNNING, _ALREADY_ADDED, _ALREADY_STARTED, _STILL_RUNNING = 10, 70, 90, 60, 91


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One program as supervisord sees it. `state` is its own word: STARTING RUNNING BACKOFF STOPPING EXITED FATAL."""

    name: str
    state: str
    pid: int
    started_at: float  # unix seconds, 0 before the first start
    exit_status: int
    problem: str

    @property
    def runs(self) -> bool:
        return self.state in {"STARTING", "RUNNING"}


class SupervisorClient:
    """One supervisord. Not thread-safe; make one per thread."""

    def __init__(self, socket_file: Path) -> None:
        self._socket_file = socket_file

    def processes(self) -> dict[str, ProcessInfo]:
        infos = cast(list[dict[str, Any]], self._call("getAllProcessInfo"))
        return {
            info["name"]: ProcessInfo(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                started_at=float(info["start"]),
                exit_status=info["exitstatus"],
                problem=info["spawnerr"],
            )
            for info in infos
        }

    def add(self, name: str) -> None:
        """Start the program whose section is now in the configuration folder. Fine if it is there already."""
        self._call("reloadConfig")
        self._call("addProcessGroup", name, forgive=(_ALREADY_ADDED,))

    def start(self, name: str) -> None:
        self._call("startProcess", name, False, forgive=(_ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Ask it to end and return at once; supervisord kills it if it takes too long."""
        self._call("stopProcess", name, False, forgive=(_NOT_RUNNING, _BAD_NAME))

    def remove(self, name: str) -> bool:
        """Forget a stopped program. Returns False while it still runs."""
        answer = self._call("removeProcessGroup", name, forgive=(_BAD_NAME, _STILL_RUNNING))
        return answer != _STILL_RUNNING

    def shutdown(self) -> None:
        self._call("shutdown")

    def _call(self, method: str, *arguments: object, forgive: tuple[int, ...] = ()) -> object:
        proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(self._socket_file))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in forgive:
                return fault.faultCode
            raise Rejected("The supervisor", fault.faultCode, f"{method}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise Unavailable("The supervisor", str(error), "Start Decant with `make run`.") from error
        finally:
            proxy("close")()


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, socket_file: Path) -> None:
        super().__init__()
        self._socket_file = socket_file

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - the library's signature
        return _UnixConnection(self._socket_file)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, socket_file: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._socket_file = socket_file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._socket_file))
