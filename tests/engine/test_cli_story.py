"""The unattended story, as `make demo` runs it, on a whole Decant; then the commands around it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import ROOT
from services.stats.srm import RED, split_band
from tests.support.system import System
from tests.support.waiting import wait_until
from tests.support.wine import TARGET, wine_frame

pytestmark = pytest.mark.timeout(900)  # the first test starts Decant and trains two models

NAME = "mlflow-deployment"
ROWS = 400


class Terminal:
    """Runs commands against one installation."""

    def __init__(self, system: System) -> None:
        self.system = system

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=self.system.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str) -> object:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Decant started in the background by the command itself, and stopped by it."""
    terminal = Terminal(System(tmp_path_factory.mktemp("story") / "state"))
    try:
        started = terminal.run("up", "--background")
        assert terminal.system.settings.dashboard_url in started.stderr
        yield terminal
    finally:
        terminal.run("down")
    wait_until(lambda: not terminal.system.processes(), what="every process of Decant to be gone")


@pytest.fixture(scope="module")
def demonstrated(terminal: Terminal) -> subprocess.CompletedProcess[str]:
    return terminal.run("demo", "--rows", str(ROWS))


def offline_rewards(alpha: float, l1_ratio: float) -> list[float]:
    """The bounded reward of every wine, from a model trained here without Decant or MLflow."""
    from sklearn.linear_model import ElasticNet
    from sklearn.model_selection import train_test_split

    frame = wine_frame()
    train, _ = train_test_split(frame, random_state=40)
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42).fit(train.drop(columns=TARGET), train[TARGET])
    errors = frame[TARGET] - model.predict(frame.drop(columns=TARGET))
    return [1 / (1 + error**2) for error in errors]


def test_the_demo_shows_both_arms_and_where_to_look(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    out = demonstrated.stdout
    assert out.count("as asked") == 2
    assert "NOT as asked" not in out
    assert "Ship B" in out
    for page in ("runs", "deploy", "traffic", "monitor", "verdict"):
        assert f"{terminal.system.settings.dashboard_url}/{page}" in out
    assert "rmse 0.8222" in demonstrated.stderr
    assert "rmse 0.8118" in demonstrated.stderr


def test_the_rewards_of_each_arm_are_those_of_an_offline_computation(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    replay = next(r for r in terminal.json("jobs")["replays"] if r["spec"]["mode"] == "live")
    outcomes = terminal.system.services.store.outcomes("seldon", NAME, limit=ROWS + 1, replay=replay["id"])
    assert sorted(o.row for o in outcomes) == list(range(ROWS))
    offline = {"a": offline_rewards(0.5, 0.5), "b": offline_rewards(0.75, 0.2)}
    expected: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        expected[outcome.predictor] += offline[outcome.predictor][outcome.row]
    arms = {arm["predictor"]: arm for arm in replay["arms"]}
    assert {name: arm["reward_sum"] for name, arm in arms.items()} == pytest.approx(dict(expected), rel=1e-6)
    assert split_band(ROWS, 0.2, RED).holds(arms["b"]["sent"])
    assert sum(arm["reward_n"] for arm in arms.values()) == ROWS


def test_running_the_demo_again_trains_and_deploys_nothing_anew(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    before = terminal.json("history", NAME)
    again = terminal.run("demo", "--rows", "20")
    assert again.stderr.count("is there") == 2
    assert terminal.json("history", NAME) == before
    assert len(terminal.json("jobs")["trainings"]) == 2


def test_the_address_that_the_demo_prints_answers_the_tutorials_request(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    curl = demonstrated.stdout[demonstrated.stdout.index("curl") :].replace("curl -X", "curl -sS -X")
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["data"]["ndarray"][0] == pytest.approx(5.7, abs=0.2)


def test_status_is_well_when_all_is_well(terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]) -> None:
    status = terminal.json("status")
    assert all(part["ok"] for part in status["parts"])
    assert [(d["name"], d["settled"], d["in_force"]) for d in status["deployments"]] == [
        (NAME, True, {"a": 80, "b": 20})
    ]


def test_a_split_moved_by_command_is_in_force_and_can_be_undone(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    moved = terminal.json("traffic", NAME, "a=0", "b=100", "--why", "all to b")
    assert moved["in_force"] == {"a": 0, "b": 100}
    asked = terminal.json("predict", NAME, "--sample")
    assert [answer["predictor"] for answer in asked] == ["b"]
    undone = terminal.json("undo", NAME)
    assert (undone["what"], undone["after"]) == ("undo", "a=80,b=20")
    assert terminal.json("traffic", NAME)["in_force"] == {"a": 80, "b": 20}
    assert "all to b" in terminal.run("history", NAME).stdout


def test_both_arms_answer_the_same_row(terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]) -> None:
    row = "7,0.27,0.36,20.7,0.045,45,170,1.001,3,0.45,8.8"
    a, b = terminal.json("predict", NAME, "--row", row, "--predictor", "both")
    assert (a["predictor"], b["predictor"]) == ("a", "b")
    assert a["values"] != b["values"]


def test_a_row_that_cannot_be_is_refused_by_its_column(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    text = "a" + ",1" * 10
    assert "“fixed acidity” must be a number, not “a”" in terminal.run("predict", NAME, "--row", text, code=2).stderr
    assert "2 of 11 values" in terminal.run("predict", NAME, "--row", "1,2", code=2).stderr


def test_data_with_a_bad_cell_is_refused_before_anything_is_sent(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    before = len(terminal.json("jobs")["replays"])
    frame = wine_frame().head(20).astype({"alcohol": object})
    frame.loc[4, "alcohol"] = "strong"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    refused = terminal.run("replay", NAME, "--dataset", str(tmp_path / "bad.csv"), "--rows", "3", code=2)
    assert "“alcohol” must hold numbers; line 6 holds “strong”" in refused.stderr
    assert len(terminal.json("jobs")["replays"]) == before


@pytest.mark.parametrize(("empty", "code"), [(20, 7), (1, 0)])
def test_a_replay_in_which_no_row_was_answered_fails(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str], tmp_path: Path, empty: int, code: int
) -> None:
    frame = wine_frame().head(20)
    frame.loc[: empty - 1, "alcohol"] = float("nan")  # which no ElasticNet takes
    file = tmp_path / "holes.csv"
    frame.to_csv(file, index=False)
    done = terminal.run("replay", NAME, "--dataset", str(file), "--concurrency", "1", "--json", code=code)
    assert json.loads(done.stdout)["failed_rows"] == empty
    assert json.loads(done.stdout)["answered_rows"] == 20 - empty
    assert ("No row of replay" in done.stderr) == (code == 7)


@pytest.mark.parametrize("more", [(), ("--paired",), ("--predictor", "b")])
def test_a_column_that_the_models_do_not_know_is_not_sent(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str], tmp_path: Path, more: tuple[str, ...]
) -> None:
    file = tmp_path / "coloured.csv"
    frame = wine_frame().head(20)
    frame.insert(0, "colour", "white")
    frame.to_csv(file, index=False, sep=";", decimal=",")  # as a German or French spreadsheet writes it
    done = terminal.run("replay", NAME, "--dataset", str(file), "--json", *more)
    assert "“colour” is not sent: the model does not know it." in done.stderr
    found = json.loads(done.stdout)
    assert (found["failed_rows"], found["answered_rows"]) == (0, 40 if "--paired" in more else 20)
    seen = terminal.json("replay", NAME, "--dataset", str(file), "--preview", *more)
    assert isinstance(seen, dict) and {(arm["n"], arm["failed"]) for arm in seen["arms"]} == {(20, 0)}


def test_the_demo_says_what_it_replaces(terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]) -> None:
    terminal.run("traffic", NAME, "50/50")
    said = terminal.run("demo", "--rows", "5").stderr
    assert "exists with other contents: a=" in said
    assert "at 50 %" in said
    assert f"`python -m app undo {NAME}` brings the old one back" in said
    assert terminal.json("traffic", NAME)["in_force"] == {"a": 80, "b": 20}


def test_ctrl_c_cancels_a_replay_and_exits_with_130(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "replay", NAME, "--rate", "5"],
        cwd=ROOT,
        env=terminal.system.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = iter(process.stderr.readline, "")  # a note on rows that went through the split before comes first
    number = next(filter(None, (re.match(r"Replay (\d+)", line) for line in said)))
    wait_until(
        lambda: terminal.system.services.replays.get(int(number[1])).done_rows > 0, what="the replay to be under way"
    )
    process.send_signal(signal.SIGINT)
    words = process.communicate()[1]
    assert process.returncode == 130
    assert "Cancelled" in words
    replays = terminal.system.services.replays
    stopped = replays.get(int(number[1]))
    assert stopped.state.value == "cancelled"
    assert f"{stopped.total - stopped.done_rows:,} rows" in terminal.run("resume", number[1]).stderr
    wait_until(lambda: replays.get(stopped.id).done_rows > stopped.done_rows, what="the replay to go on")
    terminal.run("cancel", "replay", number[1])


def test_a_training_that_fails_says_why(terminal: Terminal) -> None:
    failed = terminal.run("train", "--alpha", "-1", "--l1-ratio", ".5", code=7)
    assert "0 or more" in failed.stderr
    assert terminal.run("train", "--alpha", "much", code=2).stderr.startswith("The training cannot start")


def test_monitor_counts_what_the_replay_sent(
    terminal: Terminal, demonstrated: subprocess.CompletedProcess[str]
) -> None:
    def seen() -> bool:
        return sum(p["feedback"] for p in terminal.json("monitor", NAME, "--window", "1h")["predictors"]) >= ROWS

    wait_until(seen, what="Prometheus to have seen the feedback")


def test_a_second_up_says_where_the_first_one_is(terminal: Terminal) -> None:
    second = terminal.run("up", code=8)
    assert terminal.system.settings.dashboard_url in second.stderr
    terminal.run("up", "--background")


def test_a_taken_port_is_named_with_its_setting(terminal: Terminal, tmp_path: Path) -> None:
    other = System(tmp_path / "other", gateway_port=terminal.system.settings.gateway_port)
    failed = Terminal(other).run("up", code=9)
    assert "DECANT_GATEWAY_PORT" in failed.stderr
