"""The tutorial from beginning to end, as somebody who has never seen Decant does it in the browser.

The tests are the steps of one story: each goes on where the one before stopped, in a tab of its own, for everything
that matters lives in Decant and nothing in the tab.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from services.stats.srm import RED, split_band
from tests.browser.conftest import OpenTab
from tests.support.browser import PATIENCE_MS, Visitor
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
IN_ORDER = True

A, B = "ElasticNet α=0.5 l1=0.5", "ElasticNet α=0.75 l1=0.2"
EXPECTED = {A: ("0.8222", "0.6279", "0.1268"), B: ("0.8118", "0.6245", "0.1488")}  # rmse, mae, r2
ROWS, ROWS_PER_S = 1500, 50
REPLAY_MS = 120_000

EMPTY = {
    "overview": "Nothing is deployed yet",
    "runs": "There are no runs yet",
    "deploy": "MLflow has no run with a model yet",
    "traffic": "There is no deployment to send traffic to yet",
    "monitor": "Nothing is deployed yet, so there is nothing to watch",
    "verdict": "Nothing is deployed yet, so there is nothing to compare",
}


def in_force(arm: str, percent: int) -> re.Pattern[str]:
    """The line of an arm whose requested share is in force."""
    return re.compile(rf"^{arm}\s*requested {percent} %\s*in force {percent} %", re.IGNORECASE)


@pytest.mark.parametrize("page", EMPTY)
def test_at_first_each_page_says_what_to_do(visitor: Visitor, page: str) -> None:
    visitor.open("overview")
    if page != "overview":
        visitor.go(page)

    visitor.see(EMPTY[page])
    ways_on = visitor.main.get_by_role("button", name=re.compile("Train|Deploy a model"))
    expect(ways_on.or_(visitor.main.get_by_role("link", name="Deploy a model")).first).to_be_enabled()
    visitor.shoot(f"01-empty-{page}")


def test_train_two_models(visitor: Visitor) -> None:
    visitor.open("runs")
    visitor.press("Train a model")
    for number, (alpha, l1_ratio) in enumerate(((".5", ".5"), (".75", ".2")), start=1):
        visitor.fill("alpha (float)", alpha)
        visitor.fill("l1_ratio (float)", l1_ratio)
        visitor.press("Start training")
        visitor.see(f"Training {number}")
        visitor.see(re.compile(r"queued|running"))
        visitor.see("Running command")  # the log is live: this line comes before the model is trained
        if number == 1:
            visitor.shoot("02-train-running")

    visitor.see("ElasticNet α=0.75 l1=0.2: rmse 0.8118", timeout_ms=REPLAY_MS)
    expect(visitor.main.get_by_role("button", name="Use as A")).to_be_visible(timeout=REPLAY_MS)
    visitor.table_where(lambda rows: [(r["Training"], r["State"]) for r in rows] == [("2", "done"), ("1", "done")])
    visitor.shoot("03-trained")


def test_both_runs_are_in_the_table(visitor: Visitor) -> None:
    visitor.open("runs")

    rows = {row["Run"]: row for row in visitor.table()}

    assert rows.keys() == {A, B}
    for run, values in EXPECTED.items():
        assert tuple(f"{float(rows[run][name]):.4f}" for name in ("rmse", "mae", "r2")) == values
    visitor.tick(0)
    visitor.tick(1)
    visitor.see("2 runs compared")
    visitor.shoot("04-runs-compared")
    visitor.page.reload()
    visitor.see("2 runs compared")  # what is ticked is in the address


def test_a_bad_filter_is_explained(visitor: Visitor) -> None:
    visitor.open("runs")

    visitor.fill("Filter", "metrics.rmse <")
    visitor.alert(re.compile(r"“metrics\.rmse <” cannot be used"))
    visitor.shoot("05-bad-filter")
    visitor.fill("Filter", "metrics.rmse < 0.82")
    visitor.table_where(lambda rows: [row["Run"] for row in rows] == [B])


def test_deploy_the_first_as_a(visitor: Visitor) -> None:
    visitor.open("runs")
    row = next(i for i, run in enumerate(visitor.table()) if run["Run"] == A)
    visitor.tick(row)
    visitor.press("Use as A")
    visitor.expect_page("deploy")
    visitor.see(re.compile("11 columns"))
    visitor.shoot("06-deploy-form")

    visitor.fill("Reason", "the tutorial's first model")
    visitor.press("Deploy")

    expect(visitor.main.get_by_role("combobox", name="Deployment")).to_have_value("seldon/mlflow-deployment")
    visitor.see(re.compile("waiting for"))
    visitor.shoot("07-rollout")
    visitor.see("all arms ready", timeout_ms=REPLAY_MS)
    visitor.see("1 of 1 replicas ready")
    (change,) = visitor.table()
    assert (change["Who"], change["What"], change["Why"]) == ("tester", "deployed it", "the tutorial's first model")
    visitor.shoot("08-one-arm")


def test_send_one_request(visitor: Visitor) -> None:
    visitor.open("traffic")
    visitor.fill("fixed acidity", "7")
    visitor.fill("alcohol", "8.8")
    visitor.press("Send")

    visitor.see("Prediction")

    assert 3 < float(visitor.metric("Prediction")) < 9
    assert re.fullmatch(r"[\d.]+\sm?s", visitor.metric("Latency"))
    visitor.see("The same request as code").click()
    visitor.see("seldon/seldon/mlflow-deployment/api/v1.0/predictions")
    visitor.shoot("09-one-request")


def test_add_the_other_as_b(visitor: Visitor) -> None:
    visitor.open("runs")
    row = next(i for i, run in enumerate(visitor.table()) if run["Run"] == B)
    visitor.tick(row)
    visitor.press("Use as B")
    visitor.expect_page("deploy")
    visitor.see("Difference from live")
    visitor.see("+  - name: b")
    visitor.shoot("10-add-b")

    visitor.fill("Reason", "the challenger")
    visitor.press("Apply")

    visitor.see("Traffic split")
    visitor.see("all arms ready", timeout_ms=REPLAY_MS)
    expect(visitor.main.get_by_text("1 of 1 replicas ready")).to_have_count(2)


def test_move_the_slider_to_20_percent(visitor: Visitor) -> None:
    visitor.open("deploy")
    slider = visitor.main.get_by_role("slider", name="Share of b")
    slide_to(visitor, slider, 20)
    visitor.see(re.compile(r"a 100\s%.*b 0\s%.*→.*a 80\s%.*b 20\s%", re.IGNORECASE))
    visitor.fill("Reason", "a fifth for the challenger")
    visitor.shoot("11-slider")

    visitor.press("Move traffic")

    for arm, share in (("A", 80), ("B", 20)):
        visitor.see(in_force(arm, share))
    visitor.see("no requests through the split since it last changed")
    visitor.shoot("12-moved")


def slide_to(visitor: Visitor, slider: Locator, wanted: int) -> None:
    """As a person does: press the arrow, look at the number, press again; a press during a redraw may be lost."""
    number = visitor.main.get_by_label("percent")

    def there() -> bool:
        visitor.settle()
        now = int(number.input_value())
        for _ in range(abs(wanted - now)):
            slider.press("ArrowRight" if now < wanted else "ArrowLeft")
        if now != wanted:
            wait_until(lambda: int(number.input_value()) != now, what="the number to follow the slider")
        return now == wanted

    wait_until(there, timeout_s=60, what=f"the slider to stand at {wanted}")


def test_one_row_to_both_arms(visitor: Visitor) -> None:
    visitor.open("traffic")
    visitor.fill("True value (optional)", "6")
    visitor.press("Send")

    visitor.see(re.compile("^Difference b − a", re.IGNORECASE))
    cards = [visitor.metric("Prediction", nth) for nth in (0, 1)]
    assert cards[0] != cards[1]
    assert all(0 < float(visitor.metric("Reward, in the ledger", nth)) <= 1 for nth in (0, 1))
    visitor.see(A)
    visitor.see(B)
    visitor.shoot("13-side-by-side")


def test_a_replay_survives_reload_and_closed_tab(open_tab: OpenTab) -> None:
    first = open_tab()
    first.open("traffic")
    first.choose("Replay")
    first.see("All 11 columns that the model wants are there")
    first.see("1 / (1 + (y − f)²)")
    first.fill("Rows", str(ROWS))
    first.unfold("Order, passes, pace")
    first.fill("At most rows/s", str(ROWS_PER_S))
    first.press("Start replay")

    progress = re.compile(rf"^[\d,]+ of {ROWS:,} rows · .* to go")
    first.see(progress)
    first.page.reload()
    first.see(progress)
    first.page.close()
    second = open_tab()
    second.open("traffic", sending="Replay")
    second.see(progress)
    second.shoot("14-replay-running")

    second.see("Past replays", timeout_ms=REPLAY_MS)
    done = second.table_where(lambda rows: "Failed" in rows[0])[0]  # drawn to its last column
    assert (done["State"], done["Rows"].replace(",", ""), done["Failed"]) == ("done", str(ROWS), "0")
    counts = {arm: int(done[f"{arm}: n"].replace(",", "")) for arm in "AB"}
    assert sum(counts.values()) == ROWS, "every row has earned its reward"
    assert split_band(ROWS, 0.2, RED).holds(counts["B"])
    assert all(0.5 < float(done[f"{arm}: mean reward"]) < 0.9 for arm in "AB")
    second.tick(0)
    second.see(re.compile(rf"^{ROWS:,} of {ROWS:,} rows .* took"))
    second.shoot("15-replay-done")


def test_what_was_asked_is_what_is_seen(visitor: Visitor) -> None:
    visitor.open("deploy")

    place = visitor.see(re.compile(rf"B got [\d.]+\s% of {ROWS:,} requests; [\d.]+–[\d.]+\s% expected"))

    got, low, high = map(float, re.findall(r"[\d.]+(?=\s?[%–])", place.inner_text().replace(",", "")))
    assert low < 20 < high and split_band(ROWS, 0.2, RED).holds(round(got / 100 * ROWS))
    visitor.see("sequential test of the split")
    visitor.shoot("16-observed")


def test_monitor_shows_both_arms(visitor: Visitor) -> None:
    visitor.open("monitor", window="5m")

    expect(visitor.page.locator(".decant-chart .main-svg").first).to_be_visible()
    for title in ("Requests per second", "Mean reward", "Latency", "Errors per second"):
        visitor.see(re.compile(f"^{title}"))
    charts = visitor.page.locator(".decant-chart")
    expect(charts).to_have_count(4)
    for nth in range(4):
        legend = charts.nth(nth).locator(".legendtext")
        expect(legend.filter(has_text=re.compile("^a"))).not_to_have_count(0)
        expect(legend.filter(has_text=re.compile("^b"))).not_to_have_count(0)
    lines = charts.first.evaluate("c => c.data.map((t) => [t.name, t.y.filter((v) => v > 0).length])")
    assert {name for name, points in lines if points} >= {"a", "b", "change"}
    assert visitor.metric("Success") == "100\u202f%"
    assert visitor.metric("Server errors 5xx") == "0/s"
    visitor.see(re.compile(r"^n\s1,5\d\d · last 5\smin"))
    arms = visitor.table(0)
    assert [(arm["Predictor"], arm["Model"], arm["Errors"]) for arm in arms] == [("a", A, "0"), ("b", B, "0")]
    assert sum(int(arm["Feedback"].replace(",", "")) for arm in arms) == ROWS  # rows to both arms are not counted
    assert "a fifth for the challenger" in [change["Why"] for change in visitor.table(1)]
    visitor.shoot("17-monitor")


def test_each_chart_shows_its_query(visitor: Visitor) -> None:
    visitor.open("monitor", window="5m")
    for nth, words in enumerate(("requests_seconds_count", "feedback_reward", "histogram_quantile", 'code=~"')):
        visitor.press("PromQL", nth)
        expect(visitor.page.get_by_test_id("stPopoverBody").get_by_text(words).first).to_be_visible()
        visitor.page.keyboard.press("Escape")


def test_undo_the_last_split(visitor: Visitor) -> None:
    visitor.open("deploy")
    visitor.press("Undo last change")

    visitor.see(in_force("B", 0))
    newest, before, *_ = visitor.table_where(lambda rows: rows[0]["What"].startswith("undid"))
    assert newest["Who"] == "tester"
    assert re.fullmatch(r"undid: traffic a 80\s% / b 20\s% → a 100\s% / b 0\s%", newest["What"], re.IGNORECASE)
    assert before["Why"] == "a fifth for the challenger"
    visitor.shoot("18-undone")
    visitor.press("Undo last change")
    visitor.see(in_force("B", 20))


def test_cancel_a_replay(visitor: Visitor) -> None:
    visitor.open("traffic", sending="Replay")
    visitor.fill("Rows", "4898")
    visitor.unfold("Order, passes, pace")
    visitor.fill("At most rows/s", "40")
    visitor.press("Start replay")
    visitor.see(re.compile(r"^[1-9][\d,]* of 4,898 rows"))

    visitor.press("Cancel")

    expect(visitor.main.get_by_role("button", name="Cancel")).to_have_count(0, timeout=PATIENCE_MS)
    newest, *_ = visitor.table_where(lambda rows: rows[0]["State"] == "cancelled")
    assert 0 < int(newest["Rows"].replace(",", "")) < 4898
    visitor.shoot("19-cancelled")


def test_the_guide_has_ticked_everything(visitor: Visitor) -> None:
    visitor.open("overview", guide="1")
    visitor.see("6 of 6 done")
    visitor.see("in force: 80 / 20")
    visitor.shoot("20-overview")
