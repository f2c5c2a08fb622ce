"""The dashboard as people see it: a real Chromium on a whole Decant of the ring's own.

When a test fails, what its tab showed is in `failures/`: a picture, the page's HTML and its console.
`DECANT_SHOTS=folder` keeps pictures of the pages along the story; the pictures in docs/images come from there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from services.domain import DeploymentStatus
from tests.support.ab_test import NAME, deploy
from tests.support.browser import HEIGHT, WIDE, Visitor, launch
from tests.support.system import System

FAILURES = Path(__file__).parent / "failures"
CALL = pytest.StashKey[bool]()
BROKEN = pytest.StashKey[str]()

OpenTab = Callable[..., Visitor]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Remember whether the test failed, for its tabs; and at which step a story broke."""
    report = yield
    if report.failed:
        item.stash[CALL] = True
        module = item.getparent(pytest.Module)
        if module is not None and getattr(module.obj, "IN_ORDER", False):
            module.stash.setdefault(BROKEN, item.name)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The steps of a story rest on each other: after a broken one there is nothing to see."""
    module = item.getparent(pytest.Module)
    if module is not None and BROKEN in module.stash:
        pytest.fail(f"the story broke at {module.stash[BROKEN]}", pytrace=False)


@pytest.fixture(scope="package")
def decant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A whole Decant that has never been used; the story, which comes first, is its first user."""
    installation = System(tmp_path_factory.mktemp("browser") / "state")
    try:
        yield installation.start()
    finally:
        for process in installation.processes():  # a test that failed may have left one suspended
            process.resume()
        installation.stop()
    assert installation.parts() == set(), "processes were left behind"


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for the ring. Not for the session: its event loop would be in the way of other rings' own."""
    shutil.rmtree(FAILURES, ignore_errors=True)  # of an earlier run
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(request: pytest.FixtureRequest, decant: System, chromium: Browser) -> Iterator[OpenTab]:
    """Open tabs like separate people: `open_tab(width=800, scheme="dark")`. They are watched until the test ends."""
    visitors: list[Visitor] = []
    shots = os.environ.get("DECANT_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)

    def open_one(*, width: int = WIDE, scheme: Literal["light", "dark"] = "light") -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        address = decant.settings.dashboard_url.rstrip("/")
        visitors.append(Visitor(context.new_page(), address, shots=Path(shots) if shots else None))
        return visitors[-1]

    yield open_one
    trouble = [f"tab {number}: {text}" for number, v in enumerate(visitors, 1) for text in v.trouble]
    for number, visitor in enumerate(visitors, 1):
        if (trouble or request.node.stash.get(CALL, False)) and not visitor.page.is_closed():
            keep(visitor, f"{request.node.name}-{number}")
        visitor.page.context.close()
    assert not trouble, "the pages showed what nobody should see:\n" + "\n".join(dict.fromkeys(trouble))


@pytest.fixture
def visitor(open_tab: OpenTab) -> Visitor:
    """One tab, wide and light."""
    return open_tab()


@pytest.fixture(scope="package")
def ab_test(decant: System, wine_models: tuple[Path, Path]) -> DeploymentStatus:
    """The tutorial's A/B test, live: the one that the story has left, or one made now when it was not told."""
    a, b = wine_models
    return deploy(decant.services, NAME, {"a": a, "b": b}, (80, 20))


def keep(visitor: Visitor, name: str) -> None:
    """What the tab shows, for whoever looks into the failure."""
    FAILURES.mkdir(exist_ok=True)
    target = FAILURES / re.sub(r"[^\w.-]+", "_", name)
    visitor.page.screenshot(path=f"{target}.png", animations="disabled")
    Path(f"{target}.html").write_text(visitor.page.content())
    Path(f"{target}.console.txt").write_text("\n".join([visitor.page.url, *visitor.console, *visitor.trouble]) + "\n")
