"""replay: a labelled dataset through a deployment, with rewards, as a background job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from app.cli.jobs import RERUN_HINT, check_done, follow
from app.cli.options import (
    deployment_key,
    json_option,
    namespace_option,
    require_entrance,
    require_part,
    services,
)
from app.cli.output import ProgressLine, plain, put_json, put_table, say
from app.cli.replay_data import REWARDS, check_fit, find_dataset, look, make_reward, put_preview, read_scale
from app.format import latency
from app.format import number as number_text
from services.errors import InvalidInput, StartFailed

if TYPE_CHECKING:
    from services.factory import Services
    from services.jobs.replays import Replay
    from services.traffic.replay import ReplaySpec


@click.command()
@click.argument("name")
@click.argument("number", required=False, type=int)
@namespace_option
@click.option("--dataset", help="A CSV or Parquet file, or the bundled one.  [default: wine-quality]")
@click.option("--run", "run_id", help="Take the dataset that this MLflow run has logged (which: --dataset).")
@click.option("--target", default="quality", show_default=True, help="Column with the truth.")
@click.option(
    "--reward",
    type=click.Choice(REWARDS),
    default="auto",
    show_default=True,
    help="auto: hit for classes, bounded for numbers. absolute, squared and log_loss stay in the ledger.",
)
@click.option("--formula", default="", help="A reward of your own over y and y_pred, such as 'exp(-abs(y - y_pred))'.")
@click.option(
    "--scale",
    default="1.0",
    show_default=True,
    help="The error that halves the bounded reward; auto: that of the champion's errors on a preview.",
)
@click.option("--rows", type=click.IntRange(1), help="How many rows.  [default: all]")
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="First row.")
@click.option("--sample", is_flag=True, help="Take the rows at random instead of from the start.")
@click.option("--shuffle", is_flag=True, help="Send the rows in a random order.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="For --sample and --shuffle.")
@click.option("--passes", type=click.IntRange(1), default=1, show_default=True, help="How often the rows are sent.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Most rows per second.  [default: no limit]")
@click.option("--concurrency", type=click.IntRange(1), default=32, show_default=True, help="Requests at a time.")
@click.option("--paired", is_flag=True, help="Every row to both arms, past the split.")
@click.option("--arms", nargs=2, help="Champion and challenger of --paired.  [default: the first two]")
@click.option("--predictor", help="Send everything to this arm, past the split.")
@click.option("--preview", is_flag=True, help="Only show what 200 of the rows would earn; nothing is recorded.")
@click.option("--shuffle-seed", type=click.IntRange(0), hidden=True, help="--shuffle with this --seed.")
@click.option("--detach", is_flag=True, help="Return at once; the replay goes on in the background.")
@json_option
def replay(
    name: str,
    number: int | None,
    namespace: str,
    dataset: str | None,
    run_id: str | None,
    target: str,
    reward: str,
    formula: str,
    scale: str,
    rows: int | None,
    start: int,
    sample: bool,
    shuffle: bool,
    seed: int,
    passes: int,
    rate: float | None,
    concurrency: int,
    paired: bool,
    arms: tuple[str, str] | None,
    predictor: str | None,
    preview: bool,
    shuffle_seed: int | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Send a labelled dataset through a deployment and give a reward for each prediction.

    `replay pause NUMBER`, `replay resume NUMBER` and `replay cancel NUMBER` steer one that is under way.

    \b
    Example: python -m app replay wine --rows 500
             python -m app replay wine --paired --scale auto
             python -m app replay wine --dataset my.csv --target price --scale 10 --preview
             python -m app replay pause 3
    JSON: {"id", "state", "done_rows", "total", "rows_per_s", "spec", "arms": [{predictor, sent, failed,
           feedback_failed, reward_sum, reward_n, latency_ms_sum}], "answered_rows", "failed_rows", ...}
           with --preview: {"reward", "arms": [{predictor, n, mean, sd, largest_share, failed, without_truth,
           error}], "warning", "scale"}

    Columns that the model's signature does not name are not sent. Exits with 2, before anything is sent, if the data
    does not fit the model, and with 7 if no row was answered, of a preview too.
    """
    from services.jobs.replays import default_arms
    from services.traffic.replay import ReplayMode, ReplaySpec

    if number is not None:
        _steer(name, number, as_json=as_json)
        return
    built = services()
    namespace, name = deployment_key(name, namespace)
    deployment = built.engine.get(namespace, name).deployment
    if predictor and (paired or arms):
        raise InvalidInput("A replay goes to one arm or to both: give --predictor or --paired.")
    mode = ReplayMode.PAIRED if paired or arms else ReplayMode.PINNED if predictor else ReplayMode.LIVE
    pair = arms or (default_arms(deployment) if paired else ())
    dividing = tuple(one.name for one in deployment.predictors if not one.shadow)
    asked = pair or ((predictor,) if predictor is not None else dividing)
    for arm in asked:
        deployment.predictor(arm)
    if not preview:
        require_part(built, "Worker")
    found, label = find_dataset(built, dataset or ("" if run_id else "wine-quality"), run_id)
    check_fit(built, deployment, asked, found, target, together=mode is ReplayMode.LIVE)
    given = read_scale(scale)
    scaled = click.get_current_context().get_parameter_source("scale") is not ParameterSource.DEFAULT
    spec = ReplaySpec(
        namespace=namespace,
        deployment=name,
        dataset=found,
        target=target,
        reward=make_reward(reward, 1.0 if given is None else given, formula, found, target, scaled=scaled),
        mode=mode,
        predictor=predictor,
        arms=pair,
        rows=rows,
        start=start,
        rate=rate,
        concurrency=concurrency,
        sample_seed=seed if sample else None,
        shuffle_seed=seed if shuffle else shuffle_seed,
        passes=passes,
        label=label,
    )
    if preview or given is None:
        require_entrance(built)
        summary = look(built, spec)
        if given is None and summary.scale is not None and spec.reward.kind == "bounded":
            spec = replace(spec, reward=replace(spec.reward, scale=summary.scale))
            say(f"Scale {summary.scale:g}, the standard deviation of the champion's errors on a preview.")
            summary = look(built, spec) if preview else summary
        if preview:
            put_preview(summary, spec.reward, as_json=as_json)
            if not any(arm.answered for arm in summary.arms):
                say("No row of the preview was answered. `python -m app logs NAME ARM` may tell why.")
                click.get_current_context().exit(StartFailed.exit_code)
            return
    if spec.mode is not ReplayMode.PINNED:
        live = spec.mode is ReplayMode.LIVE
        if said := built.verdicts.unlike(namespace, name, spec.reward, live=live):
            say(f"Note: {said}")
        if said := built.verdicts.repeats(spec, *built.replays.size(spec)):
            say(f"Note: {said}")
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


def _steer(verb: str, number: int, *, as_json: bool) -> None:
    """Pause, resume or cancel a replay."""
    replays = services().replays
    actions: dict[str, Callable[[int], object]] = {
        "pause": replays.pause,
        "resume": replays.resume,
        "cancel": replays.cancel,
    }
    if verb not in actions:
        raise click.UsageError(f"“{verb} {number}”: a number goes with {', '.join(actions)}.")
    actions[verb](number)
    after = replays.get(number)
    if as_json:
        put_json(plain(after))
        return
    left = after.total - after.done_rows
    asked = after.state.value if after.state.value != "running" else f"running; asked to {verb}"
    say(f"Replay {number}: {asked}, {left:,} of {after.total:,} rows left.")


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


def run(built: Services, spec: ReplaySpec, *, detach: bool = False) -> Replay:
    """Queue a replay and, unless detached, show it until it is over.

    Raises StartFailed if it failed, Unavailable before anything is queued if nobody would do it.
    """
    require_part(built, "Worker")
    require_entrance(built)
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
            f"{a.predictor or '(nobody)'}: {a.sent:,} sent, reward {number_text(a.mean_reward)}"
            + (f", {a.failed:,} failed" if a.failed else "")
            for a in replay.arms
        )
        pace = "paused" if replay.state.value == "paused" else f"{replay.rows_per_s:,.0f} rows/s"
        line.show(f"{replay.done_rows:,} of {replay.total:,}  {replay.waiting or pace}  {arms}")

    return show


def put_arms(done: Replay) -> None:
    """What each arm got and earned, as a table."""
    put_table(
        ("predictor", "requests", "failed", "feedback lost", "mean reward", "n", "mean latency"),
        [
            (
                arm.predictor or "(nobody)",
                f"{arm.sent:,}",
                f"{arm.failed:,}",
                f"{arm.feedback_failed:,}",
                number_text(arm.mean_reward, 4),
                f"{arm.reward_n:,}",
                latency(arm.mean_latency_ms),
            )
            for arm in done.arms
        ],
        right=range(1, 7),
    )
    for error in plain(done.errors):
        say(f"  {error}")
    if done.sent_by:
        say(f"Sent by {done.sent_by}")
    if done.bottleneck:
        say(done.bottleneck)
