"""replay: a labelled dataset through a deployment, with rewards, as a background job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.jobs import RERUN_HINT, check_done, follow
from app.cli.options import deployment_key, json_option, namespace_option, require_part, services
from app.cli.output import ProgressLine, plain, put_json, put_table, say
from app.format import latency, number
from services.errors import DecantError, InvalidInput, StartFailed

if TYPE_CHECKING:
    from services.factory import Services
    from services.jobs.replays import Replay
    from services.traffic.replay import ReplaySpec
    from services.traffic.rewards import Reward


@click.command()
@click.argument("name")
@namespace_option
@click.option("--dataset", default="wine-quality", show_default=True, help="A CSV or Parquet file, or the bundled one.")
@click.option("--target", default="quality", show_default=True, help="Column with the truth.")
@click.option(
    "--reward",
    type=click.Choice(["auto", "bounded", "tutorial", "hit"]),
    default="auto",
    show_default=True,
    help="auto: hit for classes, bounded for numbers.",
)
@click.option("--scale", default=1.0, show_default=True, help="The error that halves the bounded reward.")
@click.option("--rows", type=click.IntRange(1), help="How many rows.  [default: all]")
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="First row.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Most rows per second.  [default: no limit]")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Requests at a time.")
@click.option("--predictor", help="Send everything to this arm, past the split.")
@click.option("--shuffle-seed", type=int, help="Send the rows in a random order, the same for the same seed.")
@click.option("--detach", is_flag=True, help="Return at once; the replay goes on in the background.")
@json_option
def replay(
    name: str,
    namespace: str,
    dataset: str,
    target: str,
    reward: str,
    scale: float,
    rows: int | None,
    start: int,
    rate: float | None,
    concurrency: int,
    predictor: str | None,
    shuffle_seed: int | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Send a labelled dataset through a deployment and give a reward for each prediction.

    \b
    Example: python -m app replay wine --rows 500
             python -m app replay wine --dataset my.csv --target price --scale 10 --rate 50
    JSON: {"id", "state", "done_rows", "total", "rows_per_s", "spec", "arms": [{predictor, sent, failed,
           feedback_failed, reward_sum, reward_n, latency_ms_sum}], "answered_rows", "failed_rows", ...}

    Exits with 2, before anything is sent, if the data does not fit the model, and with 7 if no row was answered.
    """
    from services.traffic.replay import ReplayMode, ReplaySpec

    built = services()
    namespace, name = deployment_key(name, namespace)
    deployment = built.engine.get(namespace, name).deployment
    asked = [deployment.predictor(predictor)] if predictor is not None else deployment.predictors
    require_part(built, "Worker")
    dataset = _dataset(dataset)
    _check_fit(built, [p.model_uri for p in asked], dataset, target)
    spec = ReplaySpec(
        namespace=namespace,
        deployment=name,
        dataset=dataset,
        target=target,
        reward=_reward(reward, scale, dataset, target),
        mode=ReplayMode.PINNED if predictor else ReplayMode.LIVE,
        predictor=predictor,
        rows=rows,
        start=start,
        rate=rate,
        concurrency=concurrency,
        shuffle_seed=shuffle_seed,
    )
    done = run(built, spec, detach=detach)
    if as_json:
        failed = sum(arm.failed for arm in done.arms)
        put_json({**plain(done), "answered_rows": sum(arm.sent for arm in done.arms) - failed, "failed_rows": failed})
    elif detach:
        click.echo(f"Replay {done.id} is queued; {RERUN_HINT}")
    else:
        put_arms(done)
    if not detach:
        say_failures(done)


def say_failures(done: Replay) -> None:
    """Say how many rows of a finished replay got no answer; a replay in which none did ends the command with 7."""
    sent, failed = sum(arm.sent for arm in done.arms), sum(arm.failed for arm in done.arms)
    if not failed:
        return
    if failed < sent:
        say(f"{failed:,} of {sent:,} rows got no answer.")
        return
    say(f"No row of replay {done.id} was answered: all {sent:,} failed. `python -m app logs NAME ARM` may tell why.")
    click.get_current_context().exit(StartFailed.exit_code)


def _check_fit(built: Services, references: Sequence[str], dataset: str, target: str) -> None:
    """Raise InvalidInput if the rows cannot be what the first model that can be found wants."""
    from services.traffic.columns import check_columns
    from services.traffic.datasets import load_dataset

    data = load_dataset(dataset)
    data.features(target)
    trouble = ""
    for reference in references:
        try:
            signature = built.models.resolve(reference).signature
        except DecantError as error:
            trouble = error.sentence
            continue
        fit = check_columns(data.frame, target, signature, data.place)
        if fit.problems:
            raise InvalidInput(f"{data.name} does not fit the model: {' '.join(fit.problems)}", "Nothing was sent.")
        for words in fit.notes:
            say(f"Careful: {words}")
        return
    say(f"The columns of {data.name} are not checked: {trouble}")


def _reward(kind: str, scale: float, dataset: str, target: str) -> Reward:
    from services.traffic.datasets import load_dataset
    from services.traffic.rewards import Reward, RewardKind, default_reward

    chosen = default_reward(load_dataset(dataset).truths(target)).kind if kind == "auto" else RewardKind(kind)
    reward = Reward(chosen, scale)
    if reward.warning:
        say(f"Careful: {reward.warning}")
    return reward


def _dataset(given: str) -> str:
    """The bundled name as it is; a file by its full path, because the worker runs elsewhere."""
    file = Path(given).expanduser()
    return str(file.resolve()) if file.is_file() else given


def run(built: Services, spec: ReplaySpec, *, detach: bool = False) -> Replay:
    """Queue a replay and, unless detached, show it until it is over.

    Raises StartFailed if it failed, Unavailable before anything is queued if nobody would do it.
    """
    require_part(built, "Worker")
    require_part(built, "Gateway")
    started = built.replays.submit(spec, who=built.settings.user)
    if detach:
        return started
    rows = f"{started.total:,} row{'s' * (started.total != 1)}"
    say(f"Replay {started.id}: {rows} to {spec.namespace}/{spec.deployment}, reward {spec.reward.label}")
    line = ProgressLine()
    try:
        done = follow(
            built, lambda: built.replays.get(started.id), _shower(line), lambda: built.replays.cancel(started.id)
        )
    finally:
        line.done()
    check_done(done, f"Replay {done.id}", list(done.errors))
    return done


def _shower(line: ProgressLine) -> Callable[[Replay], None]:
    def show(replay: Replay) -> None:
        arms = "  ".join(
            f"{a.predictor or '(nobody)'}: {a.sent:,} sent, reward {number(a.mean_reward)}"
            + (f", {a.failed:,} failed" if a.failed else "")
            for a in replay.arms
        )
        line.show(f"{replay.done_rows:,} of {replay.total:,}  {replay.rows_per_s:,.0f} rows/s  {arms}")

    return show


def put_arms(done: Replay) -> None:
    """What each arm got and earned, as a table."""
    put_table(
        ("predictor", "requests", "failed", "without reward", "mean reward", "n", "mean latency"),
        [
            (
                arm.predictor or "(nobody)",
                f"{arm.sent:,}",
                f"{arm.failed:,}",
                f"{arm.feedback_failed:,}",
                number(arm.mean_reward, 4),
                f"{arm.reward_n:,}",
                latency(arm.mean_latency_ms),
            )
            for arm in done.arms
        ],
        right=range(1, 7),
    )
    for error in plain(done.errors):
        say(f"  {error}")
