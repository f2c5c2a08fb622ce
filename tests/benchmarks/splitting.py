"""Moving the split under load, and how evenly replicas share it."""

from __future__ import annotations

import time
from statistics import median

import httpx

from services.domain import ChangeNote, Deployment, Split
from services.runtime.controller.replicas import ReplicaBook
from tests.benchmarks.report import Line
from tests.support.load import Load
from tests.support.system import System
from tests.support.waiting import wait_until

NOTE = ChangeNote("bench", "measuring")
MOVES = 10
PROMISED_MS = 50


def measure_moves(system: System, deployment: Deployment) -> list[Line]:
    """All traffic from one arm to the other and back: after the command returned, who still got the old arm?"""
    engine = system.services.engine
    late_ms, took_ms = [], []
    arms = ("a", "b")
    engine.set_traffic(deployment.namespace, deployment.name, Split.of({"a": 100, "b": 0}), note=NOTE)
    with Load(engine.endpoint(deployment.namespace, deployment.name).url) as load:
        wait_until(lambda: len(load.answers) > 200, what="traffic")
        for move in range(MOVES):
            new, old = arms[(move + 1) % 2], arms[move % 2]
            split = Split.of({"a": 100 if new == "a" else 0, "b": 100 if new == "b" else 0})
            began = time.monotonic()
            engine.set_traffic(deployment.namespace, deployment.name, split, note=NOTE)
            returned = time.monotonic()
            took_ms.append(1000 * (returned - began))
            wait_until(lambda moment=returned: len(load.since(moment)) > 200, what="traffic on the new split")
            late = [a.began - returned for a in load.since(returned) if a.arm == old]
            late_ms.append(1000 * max(late, default=0.0))
    engine.set_traffic(deployment.namespace, deployment.name, deployment.split, note=NOTE)
    worst = max(late_ms)
    return [
        Line(
            f"failed requests while the split moved {MOVES} times",
            str(len(load.failures)),
            "",
            "",
            "0",
            not load.failures,
        ),
        Line(
            "last request on the old split after the command's return, worst",
            f"{worst:.1f} ms",
            "",
            "",
            f"within {PROMISED_MS} ms",
            worst <= PROMISED_MS,
        ),
        Line("the command itself, median (worst)", f"{median(took_ms):.0f} ms ({max(took_ms):.0f} ms)"),
    ]


def measure_replicas(system: System, deployment: Deployment) -> Line:
    """The share of the busier of two replicas, counted by the replicas themselves."""
    engine = system.services.engine
    with Load(engine.endpoint(deployment.namespace, deployment.name).url, clients=8) as load:
        wait_until(lambda: len(load.answers) >= 3000, timeout_s=120, what="three thousand answers")
    counts = [
        _predictions(r.port)
        for r in ReplicaBook(system.settings.paths).all()
        if (r.namespace, r.deployment, r.predictor) == (deployment.namespace, deployment.name, "a")
    ]
    share = max(counts) / sum(counts)
    return Line("busier of two replicas, share of the load", f"{share:.1%}", "", "", "50 % to 55 %", share <= 0.55)


def _predictions(port: int) -> float:
    family = "seldon_api_executor_server_requests_seconds_count{"
    lines = httpx.get(f"http://127.0.0.1:{port}/prometheus").text.splitlines()
    return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith(family) and 'service="predictions"' in x)
