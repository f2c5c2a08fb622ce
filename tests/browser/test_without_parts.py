"""One part behind Decant falls silent: each page says which, and all that does not need it works on.

A part is suspended, not killed: killed ones are back within a second, a silent one stays so until it is woken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor
from tests.support.models import WINE_ROW
from tests.support.system import System
from tests.support.wine import log_wine_runs

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("ab_test", "runs")]


@pytest.fixture(scope="module")
def runs(decant: System) -> None:
    """Some to list, also where no story was told before."""
    log_wine_runs(decant.settings.tracking_uri, decant.settings.mlflow_experiment, 2)


@contextmanager
def silent(decant: System, part: str) -> Iterator[None]:
    """Suspend every process of a part for the length of the block."""
    processes = decant.processes(part)
    processes += [child for process in processes for child in process.children(recursive=True)]
    assert processes, f"no process of {part}"
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def expect_badges(visitor: Visitor, down: str) -> None:
    """The Overview says with a sentence which part is down, and only that one."""
    visitor.open("overview")
    visitor.see(re.compile(rf"^(the )?{down}\s", re.IGNORECASE))
    visitor.see("mlflow-deployment")


def test_without_mlflow(visitor: Visitor, decant: System) -> None:
    with silent(decant, "mlflow"):
        expect_badges(visitor, "MLflow")
        visitor.go("runs")
        visitor.alert("MLflow does not answer")
        visitor.go("deploy")
        visitor.see("all arms ready")
        visitor.see(re.compile(r"in force"))
        visitor.go("monitor")
        expect(visitor.page.locator(".decant-chart .legendtext").first).to_be_visible()
        visitor.go("traffic")
        by_hand = visitor.main.get_by_role("textbox", name="One row as JSON")
        typed = visitor.main.get_by_role("spinbutton", name="alcohol")
        expect(by_hand.or_(typed)).to_be_visible()
        if by_hand.is_visible():  # else what was read of the model half a minute ago is still remembered
            visitor.fill("One row as JSON", "[7, 0.27]")
            visitor.press("Send")
            visitor.alert(re.compile("11"))
            visitor.fill("One row as JSON", str(WINE_ROW))
        visitor.press("Send")
        visitor.see("Prediction")
    visitor.open("runs")
    expect(visitor.page.get_by_test_id("stAlert").filter(has_text="does not answer")).to_have_count(0)


def test_without_prometheus(visitor: Visitor, decant: System) -> None:
    with silent(decant, "prometheus"):
        expect_badges(visitor, "Prometheus")
        visitor.go("monitor")
        visitor.alert("Prometheus does not answer")
        visitor.see(re.compile("^Changes"))
        visitor.go("deploy")
        visitor.see("Observed: Prometheus does not answer")
        visitor.see(re.compile(r"in force"))
        visitor.go("traffic")
        visitor.press("Send")
        visitor.see("Prediction")
    visitor.open("monitor")
    expect(visitor.page.locator(".decant-chart").first).to_be_visible()


def test_without_the_gateway(visitor: Visitor, decant: System) -> None:
    with silent(decant, "envoy"):
        expect_badges(visitor, "Gateway")
        visitor.go("deploy")
        visitor.alert("The gateway does not answer")
        visitor.see(re.compile(r"in force\s*unknown"))
        visitor.go("runs")
        expect(visitor.page.get_by_test_id("stDataFrame").first).to_be_visible()
        visitor.go("monitor")
        expect(visitor.page.locator(".decant-chart .legendtext").first).to_be_visible()
    visitor.open("deploy")
    visitor.see("all arms ready")


def test_without_the_controller(visitor: Visitor, decant: System) -> None:
    with silent(decant, "controller"):
        visitor.open("deploy")
        visitor.alert(re.compile("controller", re.IGNORECASE))
        expect_badges(visitor, "Controller")
        visitor.go("traffic")
        visitor.press("Send")
        visitor.see("Prediction")
    visitor.open("deploy")
    visitor.see("all arms ready")


def test_without_the_worker(visitor: Visitor, decant: System) -> None:
    with silent(decant, "worker"):
        visitor.open("traffic", sending="Replay")
        visitor.see("Start replay")
        expect_badges(visitor, "Worker")
        visitor.open("traffic", sending="Replay")
        visitor.alert("The worker does not run")
        visitor.open("runs", **{"runs-view": "Train"})
        visitor.alert("The worker does not run")
