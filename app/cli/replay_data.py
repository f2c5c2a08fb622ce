"""What a replay is made of, before it starts: its data, its reward, and a look at what the reward would say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.output import put_json, put_table, say
from app.format import number, percent
from services.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from services.domain import Deployment
    from services.factory import Services
    from services.traffic.preview import PreviewSummary
    from services.traffic.replay import ReplaySpec
    from services.traffic.rewards import Reward

AUTO = "auto"
REWARDS = ("auto", "bounded", "hit", "absolute", "squared", "brier", "log_loss", "formula", "tutorial")


def find_dataset(built: Services, given: str, run_id: str | None) -> tuple[str, str]:
    """How the worker finds the data, and what people call it: bundled, a file, or logged by a run."""
    if run_id is None:
        file = Path(given).expanduser()
        return (str(file.resolve()), "") if file.is_file() else (given, "")
    from services.tracking.datasets import read_dataset
    from services.traffic.datasets import save_upload

    logged = built.datasets.of_run(run_id)
    usable = [found for found in logged if found.path is not None]
    if not usable:
        why = "; ".join(f"“{found.name}”: {found.trouble}" for found in logged) or "it has logged none"
        raise InvalidInput(f"No dataset of run {run_id} can be loaded ({why}).")
    named = [found for found in usable if given in (found.name, found.context)] if given else usable
    if not named:
        raise NotFound("dataset", given, sorted({found.name for found in usable}))
    if len({found.path for found in named}) > 1:
        raise InvalidInput(
            f"Run {run_id} has logged several datasets.",
            f"Name one with --dataset: {', '.join(sorted({found.name for found in named}))}.",
        )
    chosen = named[0]
    assert chosen.path is not None
    content = read_dataset(chosen, built.settings.max_upload_mb)
    say(f"Dataset “{chosen.name}” (MLflow's digest {chosen.digest}), the whole file {chosen.source}")
    return str(save_upload(built.settings, chosen.path.name, content)), f"{chosen.name} of run {run_id[:8]}"


def check_fit(
    built: Services, deployment: Deployment, arms: Sequence[str], dataset: str, target: str, *, together: bool
) -> None:
    """Raise InvalidInput if the rows cannot be what the models of these arms want, as far as they can be found."""
    from services.jobs.replay_columns import signatures_of
    from services.traffic.columns import check_arms
    from services.traffic.datasets import load_dataset

    data = load_dataset(dataset)
    data.features(target)
    found, trouble = signatures_of(deployment, arms, lambda address: built.models.resolve(address).signature)
    if not found:
        say(f"The columns of {data.name} are not checked: {trouble.sentence if trouble else 'no model is there.'}")
        return
    fit = check_arms(data.frame, target, found, data.place, together=together)
    if fit.problems:
        raise InvalidInput(f"{data.name} does not fit the model: {' '.join(fit.problems)}", "Nothing was sent.")
    for words in fit.notes:
        say(f"Careful: {words}")


def make_reward(kind: str, scale: float, formula: str, dataset: str, target: str, *, scaled: bool = False) -> Reward:
    """The reward asked for; what to know about it goes to stderr. `scaled`: the scale was asked for too.

    Raises InvalidInput.
    """
    from services.traffic.datasets import load_dataset
    from services.traffic.reward_check import check_reward, truths_words
    from services.traffic.rewards import LABELS, LEDGER_ONLY, Reward, RewardKind, default_reward

    truths = load_dataset(dataset).truths(target)
    if formula and kind not in (AUTO, "formula"):
        raise InvalidInput("--formula goes with --reward formula.")
    name = "formula" if formula else kind
    chosen = default_reward(truths).kind if name == AUTO else RewardKind(name)
    if scaled and chosen is not RewardKind.BOUNDED:
        raise InvalidInput(f"--scale goes with --reward bounded; {LABELS[chosen].partition(':')[0].lower()} has none.")
    reward = Reward(chosen, scale, formula)
    note = check_reward(reward, truths)
    for words in filter(None, (truths_words(truths, target), note, reward.warning)):
        say(f"Careful: {words}")
    if not reward.counted:
        say(LEDGER_ONLY)
    return reward


def read_scale(text: str) -> float | None:
    """A number, or None for auto. Raises BadParameter."""
    if text == AUTO:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"“{text}” is neither a number nor auto", param_hint="--scale") from error


def look(built: Services, spec: ReplaySpec) -> PreviewSummary:
    """What each arm would earn on a few rows; nothing is recorded."""
    from services.traffic.preview import summarise

    return summarise(built.replays.preview(spec, who=built.settings.user), spec.reward)


def put_preview(summary: PreviewSummary, reward: Reward, *, as_json: bool) -> None:
    """The arms side by side, with what to know about the reward."""
    rows: list[dict[str, Any]] = [
        {
            "predictor": arm.predictor,
            "n": arm.sums.n,
            "mean": arm.sums.mean,
            "sd": arm.sums.sd,
            "largest_share": arm.sums.top_share,
            "failed": arm.failed,
            "without_truth": arm.without_truth,
            "error": arm.error,
        }
        for arm in summary.arms
    ]
    if as_json:
        put_json({"reward": reward.to_json(), "arms": rows, "warning": summary.warning, "scale": summary.scale})
        return
    put_table(
        ("predictor", "n", "mean reward", "sd", "largest", "failed"),
        [
            (r["predictor"], r["n"], number(r["mean"], 4), number(r["sd"]), percent(r["largest_share"]), r["failed"])
            for r in rows
        ],
        right=range(1, 6),
    )
    for row in rows:
        if row["error"]:
            say(f"  {row['predictor']}: {row['error']}")
    if empty := max((arm.without_truth for arm in summary.arms), default=0):
        say(f"{empty:,} row{'s have' if empty > 1 else ' has'} no truth and would earn nothing.")
    if summary.warning:
        say(f"Careful: {summary.warning}")
    if summary.scale is not None and reward.kind == "bounded" and reward.scale != summary.scale:
        say(f"The champion's errors have a standard deviation of {summary.scale:g}: take it with --scale auto.")
    say("Nothing was recorded.")
