"""What several commands share: naming a deployment, saying why, reading a split, building the services."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from services.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from services.domain import ChangeNote, Split
    from services.factory import Services
    from services.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

namespace_option = click.option(
    "-n",
    "--namespace",
    default=lambda: settings().default_namespace,
    show_default="seldon, or the first of DECANT_NAMESPACES",
    help="Namespace of the deployment.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")
why_option = click.option("--why", default="", help="Why; kept in the history.")


def needed_why(name: str, kept: str) -> Callable[[F], F]:
    """An option that takes a reason and cannot do without; `kept` says where the reason stays."""

    def filled(_: click.Context, parameter: click.Parameter, value: str) -> str:
        if not value.strip():
            raise click.BadParameter("the reason is blank; say in a few words why", param=parameter)
        return value

    return click.option(name, required=True, callback=filled, help=f"Why; kept {kept}.")


take_over_option = click.option(
    "--take-over", is_flag=True, help="Change it although another tool (kubectl, Git) manages it."
)


def settings() -> Settings:
    """The environment's settings. Raises InvalidInput naming each bad variable."""
    from services.settings import load_settings

    return load_settings()


def services() -> Services:
    """The same services that the pages use; what they keep open ends with the command."""
    chosen = settings()  # first: a bad variable is told at once, the import below takes seconds
    from services.factory import build_services

    built = build_services(chosen)
    if command := click.get_current_context(silent=True):
        command.call_on_close(built.close)
    return built


def note(built: Services, why: str, *, take_over: bool = False) -> ChangeNote:
    """Who asks for the change, and why; `take_over`: also of what another tool manages."""
    from services.domain import ChangeNote

    return ChangeNote(who=built.settings.user, why=why.strip(), take_over=take_over)


def deployment_key(name: str, namespace: str) -> tuple[str, str]:
    """(namespace, name) from `name` or `namespace/name`, both checked."""
    from services.domain import check_name

    if "/" in name:
        namespace, name = name.split("/", 1)
    return check_name("namespace", namespace), check_name("deployment", name)


def parse_split(words: Sequence[str], predictors: Sequence[str]) -> Split:
    """Read `80/20`, `80 20`, `80:20` or `a=80 b=20` for the live `predictors`, in their order.

    Raises:
        InvalidInput: if it is neither form, or does not give a share to each predictor.
    """
    from services.domain import Split

    parts = [part for part in re.split(r"[/:,\s]+", " ".join(words).strip()) if part]
    how = f"Write one share for each of {', '.join(predictors)}, such as {_example(predictors)}."
    if all(re.fullmatch(r"\d{1,3}%?", part) for part in parts):
        if len(parts) != len(predictors):
            raise InvalidInput(f"“{' '.join(words)}” has {len(parts)} shares, not {len(predictors)}.", how)
        return Split.of(zip(predictors, (int(part.rstrip("%")) for part in parts), strict=True))
    named = [re.fullmatch(r"([^=]+)=(\d{1,3})%?", part) for part in parts]
    if any(part.startswith("-") or "=-" in part for part in parts):
        raise InvalidInput(f"“{' '.join(words)}” is not a split: a share is a whole number from 0 to 100.", how)
    if not all(named):
        raise InvalidInput(f"“{' '.join(words)}” is not a split.", how)
    shares = {match[1]: int(match[2]) for match in named if match}
    if sorted(shares) != sorted(predictors) or len(shares) != len(parts):
        raise InvalidInput(f"“{' '.join(words)}” does not give each predictor one share.", how)
    return Split.of((name, shares[name]) for name in predictors)


def _example(predictors: Sequence[str]) -> str:
    shares = [100] if len(predictors) == 1 else [80, 20, *[0] * (len(predictors) - 2)]
    return f"{'/'.join(map(str, shares))} or {' '.join(f'{p}={s}' for p, s in zip(predictors, shares, strict=False))}"


_CALLED = {"Worker": "The worker", "Gateway": "The gateway", "Ingress": "The ingress"}


def require_entrance(built: Services) -> None:
    """Raise Unavailable if what takes the predictions is known not to answer."""
    if built.entrance:
        require_part(built, built.entrance)


def require_part(built: Services, part: str) -> None:
    """Raise Unavailable if the part does not answer: better now than after a job is queued that nobody takes."""
    if part == "MLflow":
        built.runs.ping()  # the health check would count the first import of MLflow, of seconds, as silence
        return
    health = built.health.one(part)
    if not health.ok:
        raise Unavailable(_CALLED.get(part, part), "", health.hint or "Start Decant with `make run`.")


def read_text(path: str) -> str:
    """A text file, or stdin for `-`."""
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
