"""Replay with feedback against the tutorial's own loop with the real SeldonClient, on the same deployment."""

from __future__ import annotations

import json
import os
import subprocess
from statistics import median

from services.domain import Deployment
from services.jobs.states import JobState
from services.traffic.replay import ReplaySpec
from services.traffic.rewards import Reward, RewardKind
from tests.benchmarks.report import Line
from tests.support.environments import SELDON_CLIENT, environment
from tests.support.system import System
from tests.support.waiting import wait_until
from tests.support.wine import CSV

ROUNDS = 3
ROWS = 4000
LOOP_ROWS = 400
PROMISED = 8

# The tutorial's loop, row by row: predict with its defaults (the tensor form), reward, feedback.
LOOP = """
import json, sys, time
import pandas as pd
from seldon_core.seldon_client import SeldonClient
csv, gateway, namespace, deployment, rows = sys.argv[1:]
data = pd.read_csv(csv).head(int(rows))
client = SeldonClient(gateway="ambassador", gateway_endpoint=gateway, namespace=namespace)
failed = 0
began = time.perf_counter()
for _, row in data.iterrows():
    features, y = row[:-1], row.iloc[-1]
    r = client.predict(deployment_name=deployment, data=features.values.reshape(1, -1), names=features.index.to_list())
    failed += not r.success
    f = r.response["data"]["tensor"]["values"][0]
    reward = 500 if y == f else 1 / (y - f) ** 2
    done = client.feedback(
        deployment_name=deployment, prediction_request=r.request, prediction_response=r.response, reward=reward
    )
    failed += not done.success
print(json.dumps({"per_second": len(data) / (time.perf_counter() - began), "failed": failed}))
"""


def measure(system: System, deployment: Deployment) -> list[Line]:
    """Rounds in turn; medians."""
    replays, loops, failed = [], [], 0
    for _ in range(ROUNDS):
        replays.append(_replay(system, deployment))
        per_second, lost = _loop(system, deployment)
        loops.append(per_second)
        failed += lost
    ratio = median(replays) / median(loops)
    return [
        Line(
            f"replay with feedback, rows/s ({ROWS:,} rows), against the tutorial's loop ({LOOP_ROWS} rows)",
            f"{median(replays):,.0f}",
            f"{median(loops):,.0f}",
            f"{ratio:.1f}x",
            f"{PROMISED}x",
            ratio >= PROMISED,
        ),
        Line("calls of the tutorial's loop that failed", str(failed), "", "", "0", failed == 0),
    ]


def _replay(system: System, deployment: Deployment) -> float:
    spec = ReplaySpec(
        deployment.namespace, deployment.name, "wine-quality", "quality", Reward(RewardKind.BOUNDED), rows=ROWS
    )
    replay = system.services.replays.submit(spec, who="bench")

    def ended() -> bool:
        return system.services.replays.get(replay.id).state in {JobState.DONE, JobState.FAILED}

    wait_until(ended, timeout_s=120, what="the replay")
    done = system.services.replays.get(replay.id)
    if done.state is not JobState.DONE or done.started_at is None or done.finished_at is None:
        raise RuntimeError(f"the replay ended as {done.state}: {done.message}")
    return ROWS / (done.finished_at - done.started_at).total_seconds()


def _loop(system: System, deployment: Deployment) -> tuple[float, int]:
    binaries = environment("seldon-client", SELDON_CLIENT)
    gateway = f"127.0.0.1:{system.settings.gateway_port}"
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_", "PYTHONPATH"))}
    done = subprocess.run(
        [
            *(str(binaries / "python"), "-W", "ignore", "-c", LOOP, str(CSV), gateway),
            *(deployment.namespace, deployment.name, str(LOOP_ROWS)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=plain,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the tutorial's loop failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return float(answer["per_second"]), int(answer["failed"])
