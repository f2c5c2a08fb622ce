"""The local engine under load: splits, blue/green, replicas, failing models, honest metrics. Everything is real."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from scipy.stats import binomtest

from services.domain import ChangeNote, Deployment, DeploymentStatus, Parameter, Phase, Predictor, Split
from tests.support.counters import feedback_of, replica_ports, served_by
from tests.support.load import BODY, Load
from tests.support.system import System
from tests.support.waiting import wait_until

NOTE = ChangeNote("tester", "engine test")
READY_TIMEOUT_S = 90
SURE = 1e-4  # a split is off only if the binomial test says so at this level
_names = itertools.count()
COLUMNS = (Parameter("xtype", "DataFrame"),)
Make = Callable[..., Deployment]


@pytest.fixture
def make(system: System, wine_models: tuple[Path, Path]) -> Iterator[Make]:
    """Deploys the two wine models under a new name and waits until they serve; deletes them afterwards."""
    engine = system.services.engine
    made: list[Deployment] = []

    def deploy(shares: tuple[int, int] = (80, 20), replicas: int = 1, wait: bool = True) -> Deployment:
        arms = tuple(
            Predictor(name, str(model), share, replicas, parameters=COLUMNS)
            for name, model, share in zip("ab", wine_models, shares, strict=True)
        )
        deployment = Deployment("engine", f"wine-{next(_names)}", arms)
        engine.apply(deployment, note=NOTE)
        made.append(deployment)
        if wait:
            settle(system, deployment)
        return deployment

    yield deploy
    for deployment in made:
        engine.delete(deployment.namespace, deployment.name, note=NOTE)
    keys = {d.key for d in made}
    wait_until(lambda: not keys & {s.deployment.key for s in engine.list()}, timeout_s=60, what="the clean-up")


def settle(system: System, deployment: Deployment) -> DeploymentStatus:
    engine = system.services.engine
    seen: list[DeploymentStatus] = []

    def settled() -> bool:
        seen.append(engine.get(deployment.namespace, deployment.name))
        return seen[-1].settled

    wait_until(settled, timeout_s=READY_TIMEOUT_S, what=f"{deployment.key} to settle")
    return seen[-1]


def url(system: System, deployment: Deployment) -> str:
    return system.services.engine.endpoint(deployment.namespace, deployment.name).url


def send(base: str, count: int, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    with httpx.Client(timeout=30, headers=headers) as client:
        return [client.post(f"{base}/api/v1.0/predictions", json=BODY) for _ in range(count)]


def rounded(answer: object) -> float:
    """One prediction without its last bits, which depend on how many rows BLAS multiplied at once."""
    assert isinstance(answer, list)
    return round(float(answer[0]), 9)


def test_the_split_is_within_its_binomial_band_wherever_it_is_moved(system: System, make: Make) -> None:
    deployment = make()
    base = url(system, deployment)
    for share_b in (20, 50, 0, 100):
        split = Split.of({"a": 100 - share_b, "b": share_b})
        system.services.engine.set_traffic(deployment.namespace, deployment.name, split, note=NOTE)
        arms = Counter(r.headers["x-decant-predictor"] for r in send(base, 600))
        if share_b in (0, 100):
            assert set(arms) == ({"b"} if share_b else {"a"})
        else:
            assert binomtest(arms["b"], 600, share_b / 100).pvalue > SURE, arms


def test_moving_the_split_under_load_fails_nothing_and_leaves_nobody_behind(system: System, make: Make) -> None:
    deployment = make((100, 0))
    with Load(url(system, deployment)) as load:
        wait_until(lambda: len(load.answers) > 50, what="some traffic")
        system.services.engine.set_traffic(
            deployment.namespace, deployment.name, Split.of({"a": 0, "b": 100}), note=NOTE
        )
        returned = time.monotonic()
        wait_until(lambda: len(load.since(returned)) > 100, what="traffic on the new split")
    assert load.failures == []
    # The gateway's workers take the routes some milliseconds after the admin interface shows them.
    assert {a.arm for a in load.since(returned + 0.05)} == {"b"}


def test_a_new_model_takes_over_without_a_failed_request(
    system: System, make: Make, wine_models: tuple[Path, Path]
) -> None:
    deployment = make((100, 0))
    base = url(system, deployment)
    (old,), (new,) = (
        {rounded(r.json()["data"]["ndarray"]) for r in send(base, 3, {"x-decant-predictor": arm})} for arm in "ab"
    )
    assert old != new
    before = {p.pid for p in system.processes()}
    with Load(base) as load:
        wait_until(lambda: len(load.answers) > 20, what="some traffic")
        swapped = replace(deployment.predictor("a"), model_uri=str(wine_models[1]))
        system.services.engine.apply(replace(deployment, predictors=(swapped, deployment.predictor("b"))), note=NOTE)
        wait_until(
            lambda: system.services.engine.get("engine", deployment.name).predictor("a").updating, what="the update"
        )
        settle(system, deployment)
        done = time.monotonic()
        wait_until(lambda: len(load.since(done)) > 50, what="traffic on the new model")
    assert load.failures == []
    assert {rounded(a.value) for a in load.answers if a.began < done} == {old, new}
    assert {rounded(a.value) for a in load.since(done)} == {new}
    gone = before - {p.pid for p in system.processes()}
    assert len(gone) == 1, "the old model server has ended, and nothing else"


def test_an_arm_that_joins_and_arms_with_new_names_cost_no_request(system: System, make: Make) -> None:
    deployment = make((100, 0))
    alone = replace(deployment, predictors=(deployment.predictor("a"),))
    system.services.engine.apply(alone, note=NOTE)
    settle(system, alone)
    with Load(url(system, deployment)) as load:
        wait_until(lambda: len(load.answers) > 20, what="some traffic")
        system.services.engine.apply(deployment.with_split(Split.of({"a": 50, "b": 50})), note=NOTE)
        wait_until(lambda: system.services.engine.get("engine", deployment.name).message, what="the split to wait")
        settle(system, deployment)
        joined = time.monotonic()
        wait_until(lambda: {a.arm for a in load.since(joined)} == {"a", "b"}, what="traffic on both")
        renamed = tuple(replace(p, name=f"new-{p.name}", traffic=50) for p in deployment.predictors)
        system.services.engine.apply(replace(deployment, predictors=renamed), note=NOTE)
        settle(system, deployment)
        done = time.monotonic()
        wait_until(lambda: len(load.since(done)) > 50, what="traffic on the new names")
    assert load.failures == []
    assert {a.arm for a in load.since(done + 0.05)} == {"new-a", "new-b"}


def test_new_names_that_never_get_ready_leave_the_old_arms_in_service(
    system: System, make: Make, tmp_path: Path
) -> None:
    deployment = make()
    hopeless = (replace(deployment.predictor("a"), name="champion", model_uri=str(tmp_path / "none"), traffic=100),)
    system.services.engine.apply(replace(deployment, predictors=hopeless), note=NOTE)

    def failed() -> bool:
        return system.services.engine.get("engine", deployment.name).predictor("champion").phase is Phase.FAILED

    wait_until(failed, timeout_s=READY_TIMEOUT_S, what="the failure")
    assert {r.status_code for r in send(url(system, deployment), 30)} == {200}
    status = system.services.engine.get("engine", deployment.name)
    assert status.in_force == deployment.split
    assert "champion" in status.message
    assert not status.settled


def test_a_live_arm_can_become_the_shadow_and_gets_copies(system: System, make: Make) -> None:
    deployment = make((50, 50))
    with Load(url(system, deployment)) as load:
        wait_until(lambda: len(load.answers) > 20, what="some traffic")
        arms = (
            replace(deployment.predictor("a"), traffic=100),
            replace(deployment.predictor("b"), traffic=100, shadow=True),
        )
        system.services.engine.apply(replace(deployment, predictors=arms), note=NOTE)
        settle(system, deployment)
        before = sum(served_by(system, deployment.name, "b"))
        wait_until(lambda: sum(served_by(system, deployment.name, "b")) > before + 50, what="copies for the shadow")
    assert load.failures == []


def test_a_model_that_does_not_start_leaves_the_old_one_serving_and_says_why(
    system: System, make: Make, tmp_path: Path
) -> None:
    deployment = make()
    broken = replace(deployment.predictor("b"), model_uri=str(tmp_path / "no-such-model"))
    system.services.engine.apply(replace(deployment, predictors=(deployment.predictor("a"), broken)), note=NOTE)

    def failed() -> bool:
        status = system.services.engine.get("engine", deployment.name).predictor("b")
        return status.phase is Phase.FAILED and status.updating

    wait_until(failed, timeout_s=READY_TIMEOUT_S, what="the failure to be seen")
    status = system.services.engine.get("engine", deployment.name).predictor("b")
    assert "no-such-model" in status.reason
    assert status.log_tail
    assert any("no-such-model" in line for line in system.services.engine.logs("engine", deployment.name, "b"))
    answers = send(url(system, deployment), 20, {"x-decant-predictor": "b"})
    assert {r.status_code for r in answers} == {200}
    system.services.engine.apply(deployment, note=NOTE)
    settle(system, deployment)


def test_replicas_share_the_load_and_follow_the_number(system: System, make: Make) -> None:
    deployment = make((100, 0), replicas=2)
    base = url(system, deployment)
    with Load(base, clients=8) as load:
        wait_until(lambda: len(load.answers) >= 1000, timeout_s=60, what="a thousand answers")
    assert load.failures == []
    shares = served_by(system, deployment.name, "a")
    assert len(shares) == 2
    assert min(shares) / sum(shares) > 0.35, "both serve; how evenly on a quiet machine is measured by the benchmarks"
    one = tuple(replace(p, replicas=1) for p in deployment.predictors)
    system.services.engine.apply(replace(deployment, predictors=one), note=NOTE)
    settle(system, deployment)
    wait_until(lambda: len(replica_ports(system, deployment.name, "a")) == 1, what="the second replica to end")
    assert {r.status_code for r in send(base, 20)} == {200}


def test_a_deployment_that_does_not_exist_lists_those_that_do(system: System, make: Make) -> None:
    deployment = make(wait=False)
    wait_until(lambda: httpx.post(f"{url(system, deployment)}/api/v1.0/predictions", json=BODY).status_code != 404)
    answer = httpx.post(f"{system.settings.gateway_url}/seldon/engine/nope/api/v1.0/predictions", json=BODY)
    assert answer.status_code == 404
    assert answer.json()["status"]["status"] == "FAILURE"
    assert deployment.name in answer.text


def test_a_loading_deployment_answers_in_seldons_shape(system: System, make: Make) -> None:
    deployment = make(wait=False)

    def refused() -> httpx.Response | None:
        answer = httpx.post(f"{url(system, deployment)}/api/v1.0/predictions", json=BODY)
        return answer if answer.status_code == 503 else None

    answer = wait_until(refused, what="a 503 while the models load")
    assert answer is not None
    assert answer.json()["status"]["code"] == 503
    settle(system, deployment)


def test_feedback_counts_for_the_arm_that_earned_it(system: System, make: Make) -> None:
    """Two arms with known means, .9 and .1, feedback sent as the tutorial sends it: through the weighted gateway."""
    deployment = make((50, 50))
    base = url(system, deployment)
    earned = {"a": 0.9, "b": 0.1}
    sent: Counter[str] = Counter()
    with httpx.Client(timeout=30) as client:
        for _ in range(120):
            answer = client.post(f"{base}/api/v1.0/predictions", json=BODY)
            arm = answer.headers["x-decant-predictor"]
            feedback = {"request": BODY, "response": answer.json(), "reward": earned[arm]}
            accepted = client.post(f"{base}/api/v1.0/feedback", json=feedback)
            assert accepted.status_code == 200, accepted.text
            sent[arm] += 1
    for arm, mean in earned.items():
        count, total = feedback_of(system, deployment.name, arm)
        assert count == sent[arm]
        assert total == pytest.approx(mean * sent[arm])


def test_zero_rewards_count_and_negative_ones_are_refused_in_words(system: System, make: Make) -> None:
    deployment = make((100, 0))
    base = url(system, deployment)
    (answer,) = send(base, 1)
    feedback = {"request": BODY, "response": answer.json()}
    assert httpx.post(f"{base}/api/v1.0/feedback", json={**feedback, "reward": 0}).status_code == 200
    assert feedback_of(system, deployment.name, "a") == (1, 0.0)
    refused = httpx.post(f"{base}/api/v1.0/feedback", json={**feedback, "reward": -1})
    assert refused.status_code == 400
    assert "negative" in refused.text and "bounded reward" in refused.text
    assert feedback_of(system, deployment.name, "a") == (1, 0.0)


def test_prometheus_follows_the_deployments(system: System, make: Make) -> None:
    deployment = make(replicas=2)

    def targets() -> int:
        answer = httpx.get(f"{system.settings.prometheus_address}/api/v1/targets").json()
        labels = [t["labels"] for t in answer["data"]["activeTargets"] if t["health"] == "up"]
        return sum(found.get("deployment_name") == deployment.name for found in labels)

    wait_until(lambda: targets() == 4, timeout_s=60, what="four healthy targets")
    one = tuple(replace(p, replicas=1) for p in deployment.predictors)
    system.services.engine.apply(replace(deployment, predictors=one), note=NOTE)
    wait_until(lambda: targets() == 2, timeout_s=60, what="two targets to go")
