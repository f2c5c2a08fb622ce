"""Small real HTTP servers that stand behind the gateway in tests, one process each, so that they can be killed.

`python -m tests.support.upstreams NAME PORT` serves until it is ended. It answers `/ready`, says at `/_seen` what it
was asked, and answers everything else with its name. Request headers make it misbehave:
`x-test-delay-s` waits before answering, `x-test-status` answers with that status, `x-test-hang-up` closes the
connection instead of answering.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from services.runtime.envoy.model import Upstream
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
_REMEMBERED = 20_000


class StandIn:
    """One server process in the place of a model server. Use as a context manager."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.port = port
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> StandIn:
        """Start (again) on the same port, ready to answer when this returns."""
        argv = [sys.executable, "-m", "tests.support.upstreams", self.name, str(self.port)]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the stand-in {self.name} ended with {self._process.wait()}"
        self.port = int(line)
        return self

    @property
    def upstream(self) -> Upstream:
        return Upstream("127.0.0.1", self.port)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it at once, with whatever it was doing."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: connections are accepted by the kernel, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def set_ready(self, ready: bool) -> None:
        self._ask("/_ready", method="POST", body=json.dumps(ready).encode())

    def seen(self) -> list[dict[str, Any]]:
        """Every request so far but health checks and questions like this: method, path, headers (lower case), bytes."""
        return list(json.loads(self._ask("/_seen")))

    def forget(self) -> None:
        self._ask("/_seen", method="DELETE")

    def _ask(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=body)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # a paused process must be able to end
        wait_until(lambda: process.poll() is not None, what=f"the stand-in {self.name} to end")
        assert process.stdout is not None
        process.stdout.close()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGKILL)


def _application(name: str) -> web.Application:
    ready = [True]
    seen: list[dict[str, Any]] = []

    async def tell_ready(_: web.Request) -> web.Response:
        return web.Response(status=200 if ready[0] else 503)

    async def set_ready(request: web.Request) -> web.Response:
        ready[0] = bool(await request.json())
        return web.Response()

    async def tell_seen(_: web.Request) -> web.Response:
        return web.json_response(seen)

    async def forget(_: web.Request) -> web.Response:
        seen.clear()
        return web.Response()

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        if len(seen) < _REMEMBERED:
            seen.append(
                {"method": request.method, "path": request.path_qs, "headers": headers, "bytes": len(body)},
            )
        if "x-test-hang-up" in headers:
            assert request.transport is not None
            request.transport.abort()
        await asyncio.sleep(float(headers.get("x-test-delay-s", 0)))
        # A model that names another arm: the gateway must not let it.
        return web.json_response(
            {"name": name, "path": request.path_qs},
            status=int(headers.get("x-test-status", 200)),
            headers={"x-decant-predictor": "somebody-else"},
        )

    application = web.Application(client_max_size=1 << 30)
    application.router.add_get("/ready", tell_ready)
    application.router.add_post("/_ready", set_ready)
    application.router.add_get("/_seen", tell_seen)
    application.router.add_delete("/_seen", forget)
    application.router.add_route("*", "/{rest:.*}", answer)
    return application


async def _serve(name: str, port: int) -> None:
    runner = web.AppRunner(_application(name), access_log=None, keepalive_timeout=60)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201 - how the parent learns the port
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
