"""What people do wrong, and what they take back: each is answered in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.ab_test import NAMESPACE, deploy
from tests.support.browser import Visitor
from tests.support.models import no_signature
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)
NAME = "bare"
READY_MS = 120_000


@pytest.fixture(scope="module")
def bare(decant: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A deployment of a model without a signature: its form takes a row as JSON."""
    folder: Path = no_signature(tmp_path_factory.mktemp("models"))
    return deploy(decant.services, NAME, {"a": folder}, (100,)).deployment.key


def test_a_wrong_row_gets_the_model_servers_words(visitor: Visitor, bare: str) -> None:
    visitor.open("traffic", deployment=bare)
    visitor.fill("One row as JSON", '[1, "red", 3]')
    visitor.press("Send")
    visitor.alert(re.compile("400|not a number|number|red"))

    visitor.fill("One row as JSON", "[1, 2")
    visitor.press("Send")
    visitor.alert(re.compile("is not JSON"))

    visitor.fill("One row as JSON", "[1, 2, 3]")
    visitor.press("Send")
    visitor.see("Prediction")
    assert float(visitor.metric("Prediction")) == pytest.approx(6, abs=0.01)


def test_what_is_deleted_can_be_brought_back(visitor: Visitor, bare: str) -> None:
    visitor.open("deploy", deployment=bare)
    visitor.press("Delete deployment …")
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Reason").fill("by mistake")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_have_count(0)

    visitor.open("deploy", deployment=f"{NAMESPACE}/{NAME}")
    visitor.see(re.compile(r"deleted by tester .*\(by mistake\)"))
    visitor.press("Bring back")

    visitor.see("all arms ready", timeout_ms=READY_MS)
    assert [change["Why"] for change in visitor.table_where(lambda rows: len(rows) == 3)][1] == "by mistake"
