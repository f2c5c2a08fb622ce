"""test: start, end and show A/B tests. The rule is fixed when a test starts; another rule is another test."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from app.cli.options import deployment_key, json_option, namespace_option, needed_why, note, services
from app.cli.output import plain, put_json, put_table, say
from services.errors import InvalidInput

if TYPE_CHECKING:
    from services.factory import Services
    from services.verdict.rule import ABTest, Rule

REWARDS = ("bounded", "hit", "absolute", "squared", "brier", "log_loss", "formula", "tutorial")
DECIDES = ("paired", "live", "either")
LIVE_FROM = ("counters", "ledger")
why_option = needed_why("--why", "with the test")


@click.group()
def test() -> None:
    """Start, end or show the A/B tests of a deployment.

    \b
    Example: python -m app test start wine --why "is the wider model better?"
    """


@test.command()
@click.argument("name")
@namespace_option
@click.option("--champion", help="Predictor in charge, A.  [default: the first]")
@click.option("--challenger", help="Predictor that wants the job, B.  [default: the second]")
@click.option("--reward", type=click.Choice(REWARDS), help="What a prediction earns.  [default: the newest replay's]")
@click.option("--scale", type=float, help="The error that earns one half of the bounded reward.")
@click.option("--formula", help="For --reward formula: an expression over y and y_pred.")
@click.option(
    "--decides",
    type=click.Choice(DECIDES),
    help="Source that names the winner; the other can object. Either: each at half of alpha.  [default: paired]",
)
@click.option(
    "--live-from",
    type=click.Choice(LIVE_FROM),
    help="Where live traffic is read: the counters hold every client's feedback, the ledger what Decant sent.  "
    "[default: counters, if rewards reach them]",
)
@click.option("--alpha", type=float, help="Chance of ever naming a difference that is not there.")
@click.option("--minimum-effect", type=float, help="Smallest difference of the mean reward worth shipping.")
@click.option("--planned-rows", "planned_pairs", type=int, help="Rows of paired replay that are planned.")
@click.option("--planned-live", type=int, help="Live rewards that are planned, both arms together.")
@click.option("--error-increase", type=float, help="Guardrail: most that B's share of failures may exceed A's.")
@click.option("--slow-ms", type=float, help="Guardrail: slower than this is slow.")
@click.option("--slow-increase", type=float, help="Guardrail: most that B's share of slow ones may exceed A's.")
@why_option
@json_option
def start(
    name: str,
    namespace: str,
    champion: str | None,
    challenger: str | None,
    reward: str | None,
    scale: float | None,
    formula: str | None,
    decides: str | None,
    live_from: str | None,
    why: str,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """Start a test; one that runs ends. What is not given is as the Verdict page proposes it.

    \b
    Example: python -m app test start wine --minimum-effect 0.002 --why "is the wider model better?"
    Example: python -m app test start wine --decides live --why "does it hold up in traffic?"
    JSON: {"id", "rule": {...}, "model_a", "model_b", "who", "started_at", "why", ...}
    """
    from services.verdict.rule import Decides, LiveFrom

    built = services()
    namespace, name = deployment_key(name, namespace)
    proposed = built.verdicts.propose(namespace, name)
    rule = replace(proposed, champion=champion or proposed.champion, challenger=challenger or proposed.challenger)
    rule = _with_numbers(_with_reward(rule, reward, scale, formula), numbers)
    if decides is not None:
        rule = replace(rule, decides=Decides(decides))
    rule = replace(rule, live_from=None if live_from is None else LiveFrom(live_from))
    begun = built.verdicts.start(namespace, name, rule.validated(), note=note(built, why))
    if as_json:
        put_json(plain(begun))
        return
    say(f"Test {begun.id} of {namespace}/{name} has begun.")
    put_rule(begun)


@test.command()
@click.argument("name")
@namespace_option
@why_option
def end(name: str, namespace: str, why: str) -> None:
    """End the running test without a decision. Its evidence stays.

    \b
    Example: python -m app test end wine --why "the wrong data"
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    found = _tests(built, namespace, name)[0]
    if not found.running:
        raise InvalidInput(f"No test of {namespace}/{name} runs; test {found.id} has ended: {found.ended_why}.")
    built.verdicts.end(found.id, note=note(built, why))
    say(f"Test {found.id} has ended.")


@test.command()
@click.argument("name")
@namespace_option
@json_option
def show(name: str, namespace: str, as_json: bool) -> None:
    """List the tests of a deployment, newest first, and the rule of the newest.

    \b
    Example: python -m app test show wine
    JSON: [{"id", "rule": {...}, "model_a", "model_b", "who", "started_at", "why", "ended_at", "ended_why"}]
    """
    built = services()
    namespace, name = deployment_key(name, namespace)
    found = _tests(built, namespace, name)
    if as_json:
        put_json(plain(found))
        return
    put_table(
        ("id", "state", "started", "by", "why", "ended because"),
        [
            (
                t.id,
                "running" if t.running else "ended",
                f"{t.started_at:%Y-%m-%d %H:%M}",
                t.who,
                t.why,
                t.ended_why,
            )
            for t in found
        ],
        right=(0,),
    )
    click.echo()
    put_rule(found[0])


def put_rule(found: ABTest) -> None:
    from services.verdict.words import rule_facts

    click.echo(f"Rule of test {found.id}: {found.rule.champion} is A, {found.rule.challenger} is B")
    for name, said in rule_facts(found.rule):
        click.echo(f"  {name}: {said}")
    for said in found.read_as:
        click.echo(f"  Note: {said}")


def _tests(built: Services, namespace: str, name: str) -> list[ABTest]:
    found = built.verdicts.tests(namespace, name)
    if not found:
        raise built.verdicts.untested(namespace, name)
    return found


def _with_reward(rule: Rule, kind: str | None, scale: float | None, formula: str | None) -> Rule:
    from services.traffic.rewards import Reward, RewardKind

    if kind is None and formula is not None:
        kind = "formula"
    before = rule.reward
    if kind is None:
        return rule if scale is None else replace(rule, reward=replace(before, scale=scale))
    return replace(rule, reward=Reward(RewardKind(kind), before.scale if scale is None else scale, formula or ""))


def _with_numbers(rule: Rule, numbers: dict[str, float | None]) -> Rule:
    given = {name: value for name, value in numbers.items() if value is not None}
    rails = {n: given.pop(n) for n in ("error_increase", "slow_ms", "slow_increase") if n in given}
    return replace(rule, guardrails=replace(rule.guardrails, **rails), **given)  # type: ignore[arg-type]
