"""Make .venv hold what requirements.txt pins; say nothing and do nothing when it already does.

Run by whatever Python the machine has, so it uses the standard library only and keeps to syntax that an old Python
can read far enough to print that it is too old.

    python3 scripts/venv.py          what Decant runs on
    python3 scripts/venv.py --dev    and what the tests and checks need
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
WANTED = (3, 11)
LISTS = {"run": ["requirements.txt"], "dev": ["requirements.txt", "requirements-dev.txt"]}


def main():
    """Returns the exit code: 0 when .venv is ready."""
    if sys.version_info < WANTED:
        there = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return say(
            f"Decant needs Python 3.11 or newer; {sys.executable} is {there}.\n"
            "Install it (Debian 12: `apt install python3.11 python3.11-venv`) or name it: `make run PYTHON=python3.12`."
        )
    kind = "dev" if "--dev" in sys.argv[1:] else "run"
    if is_ready(kind):
        return 0
    # Two `make` at once: the second waits here, then finds the work done.
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_ready(kind):
            return 0
        return build(kind)


def is_ready(kind):
    """The stamp is written last, and holds the hash of the lists that were installed."""
    try:
        return stamp_path(kind).read_text() == fingerprint(kind) and os.access(PYTHON, os.X_OK)
    except OSError:
        return False


def stamp_path(kind):
    """One stamp for what Decant runs on, one for what its tests need on top."""
    return VENV / f".installed-{kind}"


def fingerprint(kind):
    """The hash of the lists that `kind` stands for."""
    digest = hashlib.sha256()
    for name in LISTS[kind]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def build(kind):
    """Make .venv if it is missing or broken, then install. Returns the exit code."""
    uv = find_uv()
    if not works([PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
        print("Making .venv ...", file=sys.stderr)
        shutil.rmtree(str(VENV), ignore_errors=True)  # whatever an interrupted start has left
        if make_venv(uv):
            return 1
    names = LISTS[kind]
    print(f"Installing {' and '.join(names)} into .venv (minutes the first time) ...", file=sys.stderr)
    files = [part for name in names for part in ("-r", name)]
    if uv:
        command = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON, *files]
    else:
        # A .venv that uv made has no pip.
        if not works([PYTHON, "-m", "pip", "--version"]) and make_venv(None):
            return 1
        command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *files]
    if subprocess.call([str(part) for part in command], cwd=str(ROOT)):
        return say("The packages could not be installed (see above). Is the network reachable? Then try again.")
    # The dev list holds all of the other one.
    for installed in {kind, "run"}:
        stamp_path(installed).write_text(fingerprint(installed))
    return 0


def make_venv(uv):
    """Make an empty .venv. Returns the exit code."""
    if uv:
        failed = subprocess.call([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])
        return say("uv could not make .venv (see above).") if failed else 0
    if not works([sys.executable, "-c", "import ensurepip"]):
        return say(
            "Python's venv module is not complete on this machine.\n"
            f"Install it: `apt install python3.{sys.version_info[1]}-venv` (or install uv), then try again."
        )
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        shutil.rmtree(str(VENV), ignore_errors=True)
        return say("Python could not make .venv (see above).")
    return 0


def find_uv():
    """The command that runs uv, or None."""
    for command in (["uv"], [sys.executable, "-m", "uv"]):
        if works([*command, "--version"]):
            return command
    return None


def works(command):
    """Whether the command exists and ends well."""
    try:
        return (
            subprocess.call([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
        )
    except OSError:
        return False


def say(words):
    """Print why it did not work; returns the exit code for that."""
    print(words, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
