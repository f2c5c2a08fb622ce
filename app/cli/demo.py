"""demo: the whole wine A/B test, unattended. Running it again is fine: models that are there are used again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from app.cli.deployments import compose, wait_until_settled
from app.cli.options import note, services
from app.cli.output import put_table, say
from app.cli.publishing import apply
from app.cli.replay import put_arms, run, say_failures
from app.cli.train import start, watch
from app.cli.verdict import put_verdict
from app.format import percent
from services.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from services.domain import Deployment
    from services.factory import Services
    from services.jobs.replays import Replay
    from services.stats.srm import SplitBand
    from services.traffic.replay import ReplaySpec

NAME = "mlflow-deployment"
MODELS = {"a": {"alpha": "0.5", "l1_ratio": "0.5"}, "b": {"alpha": "0.75", "l1_ratio": "0.2"}}
SPLIT = "80/20"
ROWS_PER_S = 60.0
"""Slow enough that Prometheus sees the replay under way: a burst between two scrapes leaves no rate on the charts."""


@click.command()
@click.option("--rows", type=click.IntRange(1, 4898), default=1000, show_default=True, help="Rows to replay.")
@click.option("--retrain", is_flag=True, help="Train anew, even if models with these parameters are there.")
def demo(rows: int, retrain: bool) -> None:
    """Do the whole wine A/B test: train two models, deploy them 80/20, replay the data, say which one to ship.

    Decant must be running (`make demo` sees to that).

    \b
    Example: python -m app demo --rows 2000
    """
    built = services()
    _check_entrance(built)
    namespace = built.settings.default_namespace
    say("1. Two ElasticNet models of the wine data, trained with MLflow")
    references = {arm: _model(built, values, retrain) for arm, values in MODELS.items()}
    say(f"2. {NAME} in namespace {namespace}, traffic {SPLIT}")
    _deploy(built, references)
    _begin_test(built)
    say(f"3. {rows:,} rows of wine sent through the split, each with the bounded reward 1/(1+e²)")
    done = _replay(built, rows)
    click.echo()
    put_arms(done)
    click.echo()
    _put_split(done)
    say("4. Every row of wine sent to both models, and what the evidence says")
    pairs = _replay_pairs(built)
    click.echo()
    put_verdict(built.verdicts.assess(namespace, NAME))
    _put_addresses(built)
    say_failures(done)
    say_failures(pairs)


def _check_entrance(built: Services) -> None:
    """Raises InvalidInput where a cluster serves the models and nobody has said how requests get in: better now than
    after the training."""
    if not built.settings.runs_locally and not built.settings.ingress_url:
        raise InvalidInput(
            "The demonstration sends its rows through the cluster's ingress, and no address is set.",
            "Set DECANT_INGRESS_URL, or unset DECANT_ENGINE to see it all on this machine.",
        )


def _model(built: Services, values: dict[str, str], retrain: bool) -> str:
    """A run id: of the newest finished run with these parameters, else of a new one."""
    words = " ".join(f"{name}={value}" for name, value in values.items())
    experiments = [e.id for e in built.runs.experiments() if e.name == built.settings.mlflow_experiment]
    if experiments and not retrain:
        # The parameters are text to MLflow: train.py logs them as Python writes the floats.
        wanted = " and ".join(f"params.{name} = '{float(value)}'" for name, value in values.items())
        page = built.runs.search(experiments, f"attributes.status = 'FINISHED' and {wanted}", limit=1)
        if page.runs and (page.runs[0].models or page.runs[0].mlflow2_model):
            say(f"   {words}: run {page.runs[0].run_id} is there")
            return page.runs[0].run_id
    training = watch(built, start(built, values))
    say(f"   {words}: run {training.run_id}")
    if training.run_id is None:
        raise NotFound("run of training", str(training.id))
    return training.run_id


def _deploy(built: Services, references: dict[str, str]) -> None:
    key = (built.settings.default_namespace, NAME)
    wanted = compose(built, key, dict(references), None, SPLIT, 1)
    present = _present(built)
    if present is None or present.predictors != built.publications.prepare(wanted).deployment.predictors:
        if present is not None:
            say(f"   It exists with other contents: {_contents(present)}.")
            say(f"   It is replaced by {_contents(wanted)}; `python -m app undo {NAME}` brings the old one back.")
        apply(built, wanted, note(built, "make demo"))
    else:
        say("   It runs already with these models and this split: nothing to change.")
    wait_until_settled(built, *key)


def _present(built: Services) -> Deployment | None:
    try:
        return built.engine.get(built.settings.default_namespace, NAME).deployment
    except NotFound:
        return None


def _contents(deployment: Deployment) -> str:
    return ", ".join(f"{p.name}={p.provenance.label or p.model_uri} at {p.traffic} %" for p in deployment.predictors)


def _begin_test(built: Services) -> None:
    """The rule before the first row: of the two replays that follow, the one to both arms decides.

    The other one is over within a few scrapes and all of it is Decant's own, so it is read from the ledger.
    """
    from services.verdict.rule import LiveFrom

    spec = _spec(built)
    words = note(built, "make demo: is the second model better?")
    built.verdicts.begin_with(
        spec.namespace,
        spec.deployment,
        spec.reward,
        note=words,
        arms=tuple(MODELS),
        live_from=LiveFrom.LEDGER,
    )


def _replay(built: Services, rows: int) -> Replay:
    return run(built, replace(_spec(built), rows=rows, rate=ROWS_PER_S))


def _replay_pairs(built: Services) -> Replay:
    from services.traffic.replay import ReplayMode

    return run(built, replace(_spec(built), mode=ReplayMode.PAIRED, arms=tuple(MODELS)))


def _spec(built: Services) -> ReplaySpec:
    from services.traffic.replay import ReplaySpec
    from services.traffic.rewards import Reward, RewardKind

    reward = Reward(RewardKind.BOUNDED)
    namespace = built.settings.default_namespace
    return ReplaySpec(namespace, NAME, dataset="wine-quality", target="quality", reward=reward)


def _put_split(done: Replay) -> None:
    from services.stats.srm import STANDARD, split_band

    shares = dict(zip(MODELS, (int(part) / 100 for part in SPLIT.split("/")), strict=True))
    sent = {arm.predictor: arm.sent for arm in done.arms}
    total = sum(sent.get(name, 0) for name in shares)  # rows that nobody answered belong to no arm
    rows = []
    for name, share in shares.items():
        n, band = sent.get(name, 0), split_band(total, share)
        verdict = "as asked" if band.holds(n) else "NOT as asked"
        rows.append((name, percent(share), percent(n / total if total else None), f"{n:,}", _range(band), verdict))
    put_table(("predictor", "asked", "observed", "n", "expected", ""), rows, right=(1, 2, 3))
    click.echo(f"Expected by {STANDARD}.")


def _range(band: SplitBand) -> str:
    return f"{band.low:,} to {band.high:,}"


def _put_addresses(built: Services) -> None:
    namespace = built.settings.default_namespace
    base, query = built.settings.dashboard_url, f"?deployment={namespace}/{NAME}"
    click.echo()
    put_table(
        ("open", ""),
        [
            (f"{base}/", "all deployments at a glance"),
            (f"{base}/runs", "the two runs, side by side"),
            (f"{base}/deploy{query}", "the split slider and the manifest"),
            (f"{base}/traffic{query}", "one request to both models; replays"),
            (f"{base}/monitor{query}", "requests, reward and latency of each model"),
            (f"{base}/verdict{query}", "which one to ship, and why"),
        ],
    )
    url = built.engine.endpoint(namespace, NAME).url
    if not url:  # each arm has an address of its own
        return
    click.echo()
    click.echo("Or ask for a prediction:")
    click.echo("  curl -X POST -H 'Content-Type: application/json' \\")
    click.echo(
        '    -d \'{"data": {"names": [], "ndarray": [[7.0, 0.27, 0.36, 20.7, 0.045, 45.0, 170.0, 1.001, '
        "3.0, 0.45, 8.8]]}}' \\"
    )
    click.echo(f"    {url}/api/v0.1/predictions")
