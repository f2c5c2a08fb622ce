"""The tutorial's own client code against the gateway: its curl line, and the real SeldonClient in an environment of
its own. Only the port is another one, since the test must not take 8003.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.deployments.manifest import from_yaml
from services.domain import ChangeNote, Deployment
from tests.support.counters import feedback_of
from tests.support.environments import SELDON_CLIENT, environment
from tests.support.system import System
from tests.support.waiting import wait_until
from tests.support.wine import CSV

NOTE = ChangeNote("tester", "the tutorial")
CURL = """\
curl -X POST -H 'Content-Type: application/json' \
    -d '{"data": {"names": [], "ndarray": [[7.0, 0.27, 0.36, 20.7, 0.045, 45.0, 170.0, 1.001, 3.0, 0.45, 8.8]]}}' \
    http://localhost:8003/seldon/seldon/mlflow-deployment/api/v0.1/predictions"""

# The tutorial's functions, with the two spots that today's pandas and protobuf no longer take: a row is indexed by
# `iloc`, and the reward is a number instead of a 1x1 array (SeldonClient itself refuses the array).
LOOP = """
import json, sys
import numpy as np, pandas as pd
from seldon_core.seldon_client import SeldonClient
csv, port = sys.argv[1:]
data = pd.read_csv(csv).head(60)
sc = SeldonClient(gateway="ambassador", namespace="seldon", deployment_name="wines-classifier",
                  gateway_endpoint="localhost:" + port)
def _get_reward(y, y_pred):
    if y == y_pred:
        return 500
    return 1 / np.square(y - y_pred)
def _test_row(row):
    input_features = row[:-1]
    feature_names = input_features.index.to_list()
    X = input_features.values.reshape(1, -1)
    y = row.iloc[-1].reshape(1, -1)
    r = sc.predict(deployment_name="mlflow-deployment", data=X, names=feature_names)
    y_pred = r.response["data"]["tensor"]["values"]
    reward = float(np.asarray(_get_reward(y, y_pred)).item())
    f = sc.feedback(deployment_name="mlflow-deployment", prediction_request=r.request, prediction_response=r.response,
                    reward=reward)
    return {"ok": bool(r.success and f.success), "arm": r.response["meta"]["requestPath"]["decant.dev/predictor"],
            "reward": reward}
first = sc.predict(data=data.drop(["quality"], axis=1).values[:1], deployment_name="mlflow-deployment", names=[],
                   payload_type="ndarray")
print(json.dumps({"first": bool(first.success), "rows": list(data.apply(_test_row, axis=1))}))
"""


@pytest.fixture(scope="module")
def deployed(system: System, wine_models: tuple[Path, Path]) -> Iterator[Deployment]:
    """The tutorial's A/B manifest under the tutorial's names, with the models at hand."""
    a, b = wine_models
    deployment = from_yaml(f"""
apiVersion: machinelearning.seldon.io/v1alpha2
kind: SeldonDeployment
metadata: {{name: mlflow-deployment, namespace: seldon}}
spec:
  predictors:
  - {{name: a-mlflow-deployment-dag, replicas: 1, traffic: 80, graph: {{children: [], implementation: MLFLOW_SERVER,
     modelUri: "{a}", name: wines-classifier}}}}
  - {{name: b-mlflow-deployment-dag, replicas: 1, traffic: 20, graph: {{children: [], implementation: MLFLOW_SERVER,
     modelUri: "{b}", name: wines-classifier}}}}
""")
    engine = system.services.engine
    engine.apply(deployment, note=NOTE)
    wait_until(lambda: engine.get("seldon", "mlflow-deployment").settled, timeout_s=90, what="the deployment")
    yield deployment
    engine.delete("seldon", "mlflow-deployment", note=NOTE)

    # Of this one alone: others' tests may leave theirs where they all share one Decant.
    def gone() -> bool:
        return all(found.deployment.name != deployment.name for found in engine.list("seldon"))

    wait_until(gone, timeout_s=60, what="the clean-up")


def test_the_curl_line(system: System, deployed: Deployment) -> None:
    command = shlex.split(CURL.replace(":8003", f":{system.settings.gateway_port}"))
    done = subprocess.run(
        [*command, "--silent", "--show-error"], capture_output=True, text=True, timeout=60, check=True
    )
    answer = json.loads(done.stdout)
    (prediction,) = answer["data"]["ndarray"]
    assert 3 < prediction < 9
    assert answer["meta"]["puid"]


def test_the_loop_with_the_real_client_counts_each_reward_where_it_was_earned(
    system: System, deployed: Deployment
) -> None:
    binaries = environment("seldon-client", SELDON_CLIENT)
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("DECANT_", "MLFLOW_", "PYTHONPATH"))}
    command = [str(binaries / "python"), "-W", "ignore", "-c", LOOP, str(CSV), str(system.settings.gateway_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=plain)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["first"]
    assert all(row["ok"] for row in said["rows"])
    assert {row["arm"] for row in said["rows"]} <= {"a-mlflow-deployment-dag", "b-mlflow-deployment-dag"}

    for arm in (p.name for p in deployed.predictors):
        count, total = feedback_of(system, "mlflow-deployment", arm)
        rewards = [row["reward"] for row in said["rows"] if row["arm"] == arm]
        assert count == len(rewards)
        assert total == pytest.approx(sum(rewards))
