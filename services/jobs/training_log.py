"""What a training's log says in the end, in one line a person can act on. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.jobs.training_process import FAILED, NOT_RUN, WORDS

_NOISE = re.compile(
    r"""^\s*$
    | ^\d{4}[/-]\d\d[/-]\d\d\ .*\b(INFO|WARNING|DEBUG)\b
    | ^\s*(warnings\.warn|Traceback|File\ "|\^|~|raise\ |During\ handling|The\ above\ exception)
    | ^(🏃|🧪)
    | Warning:
    | ===\ Run\ \(ID
    | ^usage:
    """,
    re.VERBOSE,
)
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt|Exit)\b.*|.*\berror:.*|.*\bKilled\b.*")
LONGEST = 500


def lines_of(text_lines: Sequence[str]) -> list[str]:
    """Log lines as a person sees them: a progress bar is the last thing that it showed."""
    return [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text_lines]


def reason(lines: Sequence[str]) -> str:
    """Why it failed: what the process said of itself, else the last error, else the last line that is not noise."""
    said = [line for line in lines_of(lines) if not _NOISE.search(line)]
    own = [line for line in said if line.startswith(WORDS)]
    if own:
        return _clean(own[-1].removeprefix(WORDS))
    errors = [line for line in said if _ERROR.fullmatch(line.strip())]
    if errors:
        return _clean(errors[-1])
    return _clean(said[-1]) if said else ""


def failure(lines: Sequence[str], code: int) -> str:
    """A sentence on a training that ended with `code`, from the end of its log."""
    words = reason(lines)
    if code == NOT_RUN and words:
        return f"The training could not be run: {words}"
    if code == FAILED:
        return f"The project's command failed: {words}" if words else "The project's command failed without a word."
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"The training process {how}{f': {words}' if words else ''}."


def _clean(line: str) -> str:
    words = " ".join(line.split())
    if words.startswith("API request to"):
        refused = "Connection refused" in words
        words = "MLflow does not answer" + (": nothing listens at its address" if refused else f": {words}")
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
