"""The Traffic page's third choice: truths that arrive later, uploaded, checked, attached, sent to their arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from services.domain import Split
from services.evidence.store import EvidenceStore
from services.operations import Operations
from tests.apptest.conftest import NOTE, Dashboard, texts
from tests.support.memory_engine import MemoryEngine
from tests.support.outcomes import new_replay, outcome
from tests.support.seldon_stub import SeldonStub


@dataclass
class Late:
    """A dashboard with `seldon/wine`, three rows of a replay without truths, and a gateway that takes feedback."""

    dashboard: Dashboard
    gateway: SeldonStub

    @property
    def store(self) -> EvidenceStore:
        return self.dashboard.services.store

    def open(self) -> AppTest:
        return self.dashboard.open("traffic", deployment="seldon/wine", sending="Late truth")


@pytest.fixture
def late(dashboard: Dashboard) -> Iterator[Late]:
    with SeldonStub() as gateway:
        engine = MemoryEngine(gateway.url)
        dashboard.use(engine=engine, operations=Operations(engine, dashboard.services.store))
        dashboard.deploy()
        made = Late(dashboard, gateway)
        new_replay(made.store, reward={"kind": "bounded", "scale": 1.0})
        bare: dict[str, Any] = {"prediction": 5.0, "truth": None, "reward": None, "at": datetime.now(UTC)}
        made.store.ledger.record([outcome(n, "b", **bare) for n in range(3)])
        yield made


def upload(app: AppTest, text: str) -> AppTest:
    return app.file_uploader[0].upload("truths.csv", text.encode(), "text/csv").run()


def press(app: AppTest, label: str) -> AppTest:
    return next(b for b in app.button if b.label == label).click().run()


def test_truths_are_previewed_checked_attached_and_sent(late: Late) -> None:
    app = upload(late.open(), "puid,truth,when\nr1-0-0,6,x\nr1-0-1,5,x\nwho,6,x\nr1-0-2,,x\n")
    assert not app.exception
    assert "not used: when" in texts(app)
    assert "r1-0-0" in str(app.table[0].value) and "line 5" in str(app.table[0].value)

    press(app, "Dry run")
    assert "What would happen" in texts(app) and "Attached 2" in texts(app)
    assert late.gateway.feedback == []

    press(app, "Attach")
    said = texts(app)
    assert not app.exception
    for words in (
        "What became of the file",
        "Attached 2",
        "Unknown puid 1",
        "Bad line 1",
        "who",
        "has the puid who.",
        "Line 5: there is no truth.",
        "2 rewards",
    ):
        assert words in said
    assert sorted(late.gateway.feedback) == [("r1-0-0", "b", 0.5), ("r1-0-1", "b", 1.0)]
    (block,) = late.store.ledger.blocks("seldon", "wine")
    assert (block.reward.n, block.reward.total, block.feedback_failed) == (2, 1.5, 0)


def test_rewards_that_did_not_arrive_can_be_sent_again(late: Late) -> None:
    late.gateway.away = True
    app = press(upload(late.open(), "puid,truth\nr1-0-0,6\n"), "Attach")
    assert "1 reward did not" in texts(app) and "not in the arm's counter yet" in texts(app)
    late.gateway.away = False
    press(app, "Send again")
    assert "1 reward reached" in texts(app) and "counter yet" not in texts(app)
    assert late.gateway.feedback == [("r1-0-0", "b", 0.5)]


def test_what_says_nothing_of_the_split_in_force_stays_in_the_ledger_and_that_is_said(late: Late) -> None:
    late.dashboard.services.operations.set_traffic("seldon", "wine", Split.of([("a", 50), ("b", 50)]), note=NOTE)
    app = press(upload(late.open(), "puid,truth\nr1-0-0,6\nr1-0-1,6\n"), "Attach")
    assert "2 stay in the ledger alone: their split is no longer in force" in texts(app)
    assert late.gateway.feedback == []


def test_another_formula_and_replacing_what_is_there(late: Late) -> None:
    app = press(upload(late.open(), "puid,truth\nr1-0-0,6\n"), "Attach")
    app = upload(app, "puid,truth\nr1-0-0,5\n")
    press(app, "Attach")
    said = texts(app)
    assert "Had it already 0" in said and "Contradict 1" in said
    assert "1 contradicts what is stored" in said
    assert "Line 2: the truth stored for r1-0-0 is 6, the file says 5" in said
    app.checkbox(key="late-truth-replace").check().run()
    app.segmented_control(key="late-truth-by").set_value("By one formula").run()
    app.selectbox(key="late-truth-reward").set_value("hit").run()
    press(app, "Attach")
    assert "Replaced 1" in texts(app)
    assert [o.reward for o in late.store.outcomes("seldon", "wine") if o.puid == "r1-0-0"] == [1.0]
    assert len(late.gateway.feedback) == 1  # the counter keeps the first


@pytest.mark.parametrize(
    ("text", "words"),
    [("id,truth\nx,1\n", "no column “puid”"), ("puid,truth\n", "no lines"), ("\0\0", "no column")],
)
def test_files_that_cannot_be_used_are_refused_in_words(late: Late, text: str, words: str) -> None:
    app = upload(late.open(), text)
    assert not app.exception
    assert words in texts(app)
    assert "Attach" not in [b.label for b in app.button]


def test_truths_of_single_requests_without_a_formula_are_said_to_earn_nothing(late: Late) -> None:
    late.store.ledger.record([outcome(9, "b", None, puid="one", truth=None, reward=None, at=datetime.now(UTC))])
    app = press(upload(late.open(), "puid,truth\none,6\n"), "Attach")
    assert not app.exception
    said = texts(app)
    assert "1 truth has no reward, because no replay sent its row and none was named." in said
    assert "Choose “By one formula” and attach the same file again." in said
