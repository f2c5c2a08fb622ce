"""Faults planted in what a real Prometheus scrapes are found, each by its name; a healthy deployment has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from services.domain import Deployment, Predictor
from services.metrics.prometheus import MetricsReader
from services.metrics.queries import REQUESTS, Labels
from services.metrics.symptoms import Fault, Symptom
from tests.support.prometheus import NAMESPACE, SCRAPE_S, TextExporter, running_prometheus
from tests.support.waiting import free_ports, wait_until

COUNT, BUCKET = f"{REQUESTS}_count", f"{REQUESTS}_bucket"


def _executor(deployment: str, predictor: str, *, requests: int = 100, fed: int = 40, fast: int = 10) -> str:
    """What Seldon's executor shows: requests, feedback, and how many requests took less than 5 ms."""
    arm = f'deployment_name="{deployment}",predictor_name="{predictor}"'
    return (
        f'{COUNT}{{{arm},service="predictions",code="200"}} {requests}\n'
        f'{COUNT}{{{arm},service="feedback",code="200"}} {fed}\n'
        f'{BUCKET}{{{arm},service="predictions",code="200",le="0.005"}} {fast}\n'
        f'{BUCKET}{{{arm},service="predictions",code="200",le="+Inf"}} {requests}\n'
    )


def _wrapper(deployment: str, predictor: str, *, counted: int = 40, reward: float = 30) -> str:
    arm = f'{{deployment_name="{deployment}",predictor_name="{predictor}"}}'
    return f"seldon_api_model_feedback_total{arm} {counted}\nseldon_api_model_feedback_reward_total{arm} {reward}\n"


def _whole(deployment: str, predictor: str) -> str:
    return _executor(deployment, predictor) + _wrapper(deployment, predictor)


def _without_name(text: str) -> str:
    return text.replace('predictor_name="a",', "").replace(',predictor_name="a"', "")


PLANTED: dict[str, str] = {
    "healthy": _whole("healthy", "a"),
    "no-wrapper": _executor("no-wrapper", "a"),
    "zeros": _executor("zeros", "a", fed=400) + _wrapper("zeros", "a", counted=130),
    "fast": _executor("fast", "a", fast=90) + _wrapper("fast", "a"),
    "nameless": _without_name(_whole("nameless", "a")),
    "twice": _whole("twice", "a"),
    "falls": _whole("falls", "a"),
    "elsewhere": _whole("elsewhere", "a"),
    "down": _whole("down", "b"),
}


@dataclass
class World:
    url: str
    exporters: dict[str, TextExporter]

    def examine(
        self, name: str, predictors: str = "a", scrape_s: int = SCRAPE_S, label: str = "namespace"
    ) -> list[Symptom]:
        reader = MetricsReader(self.url, scrape_s, labels=Labels(label))
        arms = tuple(Predictor(arm, "models:/m-1", traffic=100 // len(predictors)) for arm in predictors)
        return reader.examine(Deployment(NAMESPACE, name, arms))

    def faults(self, name: str, **more: object) -> list[Fault]:
        return [symptom.fault for symptom in self.examine(name, **more)]  # type: ignore[arg-type]

    def until(self, wanted: list[Fault], name: str, **more: object) -> list[Symptom]:
        """The symptoms, once they are those wanted: Prometheus scrapes every second."""

        def found() -> list[Symptom] | None:
            symptoms = self.examine(name, **more)  # type: ignore[arg-type]
            return symptoms if [symptom.fault for symptom in symptoms] == wanted else None

        if not wanted:
            wait_until(lambda: found() == [], what=f"no symptom of {name}")
            return []
        return wait_until(found, what=f"{wanted} of {name}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    *ports, nobody = free_ports(len(PLANTED) + 1)
    by_name = dict(zip(PLANTED, ports, strict=True))
    exporters = {name: TextExporter(port, PLANTED[name]) for name, port in by_name.items()}
    targets = {port: {"namespace": NAMESPACE} for port in ports}
    targets[by_name["elsewhere"]] = {"kubernetes_namespace": NAMESPACE}
    targets[nobody] = {"namespace": NAMESPACE, "pod": "down-a-0-classifier-6d5f"}
    folder = tmp_path_factory.mktemp("doctor")
    with running_prometheus(folder, targets, again=[by_name["twice"]]) as prometheus:
        yield World(prometheus.url, exporters)
    for exporter in exporters.values():
        exporter.stop()


def test_a_healthy_deployment_has_no_symptom(world: World) -> None:
    world.until([], "healthy")


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("no-wrapper", Fault.NO_REWARDS, "6000"),
        ("zeros", Fault.ZERO_REWARDS, "ledger"),
        ("fast", Fault.COARSE_BUCKETS, "ledger"),
        ("twice", Fault.SCRAPED_TWICE, "Remove one"),
        ("elsewhere", Fault.NAMESPACE_LABEL, "DECANT_PROMETHEUS_NAMESPACE_LABEL=kubernetes_namespace"),
    ],
)
def test_a_planted_fault_is_named_with_its_mend(world: World, name: str, fault: Fault, words: str) -> None:
    (symptom,) = world.until([fault], name)
    assert words in symptom.mend


def test_the_mend_of_another_namespace_label_mends(world: World) -> None:
    world.until([], "elsewhere", label="kubernetes_namespace")


def test_a_target_that_cannot_be_scraped_is_named_by_its_address_and_pod(world: World) -> None:
    symptom = next(s for s in world.until([Fault.TARGET_DOWN, Fault.NO_REQUESTS], "down", predictors="ab"))
    assert "down-a-0-classifier-6d5f" in symptom.sentence
    assert "ports 8000 and 6000" in symptom.sentence


def test_an_arm_that_nobody_scrapes_is_named(world: World) -> None:
    (symptom,) = world.until([Fault.NO_REQUESTS], "healthy", predictors="ab")
    assert "predictor b" in symptom.sentence


def test_counters_that_lost_the_name_of_their_predictor_are_told(world: World) -> None:
    assert Fault.LABELS_ABSENT in [s.fault for s in world.until([Fault.LABELS_ABSENT, Fault.NO_REQUESTS], "nameless")]


def test_a_deployment_that_nobody_scrapes_is_told_apart_from_an_empty_prometheus(world: World) -> None:
    (symptom,) = world.until([Fault.NO_REQUESTS], "unknown")
    assert "watches" in symptom.sentence


def test_a_sum_of_rewards_that_falls_is_told_from_a_restart(world: World) -> None:
    def shown(counted: int, reward: float) -> Callable[[], bool]:
        world.exporters["falls"].text = _executor("falls", "a", fed=counted) + _wrapper(
            "falls", "a", counted=counted, reward=reward
        )
        query = 'seldon_api_model_feedback_reward_total{deployment_name="falls"}'
        return lambda: _value(world.url, query) == reward

    wait_until(shown(50, 60.0), what="the first scrape")
    wait_until(shown(1, 1.0), what="the scrape after a restart")
    assert world.faults("falls") == []
    wait_until(shown(2, -1.0), what="the scrape after a negative reward")
    (symptom,) = world.until([Fault.NEGATIVE_REWARDS], "falls")
    assert symptom.wrong


def _value(url: str, query: str) -> float | None:
    rows = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=5).json()["data"]["result"]
    return float(rows[0]["value"][1]) if rows else None
