"""Every error that Decant raises on purpose.

The tree, with the moment each is raised:

    DecantError                      anything below; `sentence` says what happened, `hint` what to do next
    ├── InvalidInput                 a person or a client gave something that cannot be used
    │   ├── InvalidName              a name that Kubernetes (and so Decant) would refuse
    │   ├── InvalidDeployment        a deployment that breaks Seldon's own rules
    │   └── InvalidPayload           a request body, a reward or a dataset that does not fit; names the field
    ├── NotFound                     a deployment, predictor, run, model, replay or job that does not exist
    ├── Conflict                     the world changed since it was read; names the newer change
    │   └── Foreign                  another tool manages the thing; names it
    ├── Forbidden                    the cluster does not give us, or the person, the right
    ├── Unavailable                  a part Decant depends on does not answer; names the part
    ├── Rejected                     the other side answered, with an error; carries its status and words
    ├── StartFailed                  a process did not come up; carries its last log lines
    ├── AlreadyRunning               a second start of the same state folder
    └── PortTaken                    a port belongs to somebody else; names the setting that changes it

Errors take domain arguments and own their wording. Surfaces (pages, command line, model server) print
`sentence` and `hint` and never a traceback. `exit_code` is what the command line returns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def without_secrets(text: str) -> str:
    """The text with the user and password of every address in it made unreadable."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


class DecantError(Exception):
    """Base of the tree. `sentence` is for people; `hint` says what to do next (may be empty)."""

    exit_code = 1

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class InvalidInput(DecantError):
    """Something that was given cannot be used as it is."""

    exit_code = 2


class InvalidName(InvalidInput):
    """A name that is not a DNS-1123 label, which every path, label and query relies on."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"“{name}” is not a valid {kind} name.",
            "Use 1 to 63 lower-case letters, digits and hyphens, starting and ending with a letter or digit.",
        )
        self.kind, self.name = kind, name


class InvalidDeployment(InvalidInput):
    """A deployment that Seldon Core would refuse. `problems` lists every broken rule, in words."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(f"Deployment “{name}” cannot be applied: {'; '.join(problems)}.")
        self.problems = tuple(problems)


class InvalidPayload(InvalidInput):
    """A body or value that does not fit. `field` is the path of the offending field, such as `data.ndarray[0][3]`."""

    def __init__(self, field: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{field}: {problem}", hint)
        self.field, self.problem = field, problem


class NotFound(DecantError):
    """Nothing of that kind goes by that name."""

    exit_code = 3

    def __init__(self, kind: str, name: str, known: Sequence[str] = ()) -> None:
        there = f"There is: {', '.join(known)}." if known else ""
        super().__init__(f"There is no {kind} “{name}”.", there)
        self.kind, self.name, self.known = kind, name, tuple(known)


class Conflict(DecantError):
    """Somebody else changed the thing since it was read. `change` says who did what, when."""

    exit_code = 4

    def __init__(self, what: str, change: str) -> None:
        super().__init__(f"{what} has changed since you read it: {change}.", "Look at the newer state, then try again.")
        self.what, self.change = what, change


class Foreign(Conflict):
    """Another field manager (kubectl, a Git operator) owns what would be changed."""

    def __init__(self, what: str, managers: Sequence[str], fields: Sequence[str] = ()) -> None:
        named = " and ".join(managers)
        held = f" ({', '.join(fields)})" if fields else ""
        DecantError.__init__(
            self,
            f"{what} is managed by {named}, not by Decant{held}.",
            "Change it there, or say that you take it over (`--take-over`, a tick on the page); the other tool "
            "may put its own state back.",
        )
        self.what, self.managers, self.fields = what, tuple(managers), tuple(fields)


class Forbidden(DecantError):
    """A person may not do it, by their role or by the cluster's rules; the hint is what would give them the right."""

    exit_code = 12


class Unavailable(DecantError):
    """A part does not answer. `part` is its name as the pages print it (MLflow, Prometheus, gateway, ...).

    `does` is what it does instead of serving us, where that is not silence.
    """

    exit_code = 5

    def __init__(self, part: str, detail: str = "", hint: str = "", *, does: str = "does not answer") -> None:
        super().__init__(f"{part} {does}{f' ({detail})' if detail else ''}.", hint)
        self.part, self.detail, self.does = part, detail, does


class Rejected(DecantError):
    """A part answered, and its answer was an error: its HTTP status and its own words."""

    exit_code = 6

    def __init__(self, part: str, status: int, words: str, hint: str = "") -> None:
        super().__init__(f"{part} answered {status}: {words}", hint)
        self.part, self.status, self.words = part, status, words


class StartFailed(DecantError):
    """A process that Decant started did not become ready. `log_tail` holds its last lines."""

    exit_code = 7

    def __init__(self, part: str, reason: str, log_tail: Sequence[str] = (), hint: str = "") -> None:
        tail = "".join(f"\n    {line}" for line in log_tail)
        super().__init__(f"{part} did not start: {reason.removesuffix('.')}.{tail}", hint)
        self.part, self.reason, self.log_tail = part, reason, tuple(log_tail)


class AlreadyRunning(DecantError):
    """Decant already runs from this state folder."""

    exit_code = 8

    def __init__(self, state_dir: str, address: str, pid: int) -> None:
        super().__init__(
            f"Decant is already running from {state_dir} (process {pid}): {address}",
            "Stop it with `make stop`, or set DECANT_STATE_DIR and the ports for a second one.",
        )
        self.address, self.pid = address, pid


class PortTaken(DecantError):
    """A port that Decant needs belongs to another program."""

    exit_code = 9

    def __init__(self, port: int, part: str, setting: str, owner: str = "") -> None:
        by = f" by {owner}" if owner else ""
        super().__init__(
            f"Port {port}, which the {part} needs, is taken{by}.",
            f"Stop that program, or choose another with {setting}.",
        )
        self.port, self.setting = port, setting
