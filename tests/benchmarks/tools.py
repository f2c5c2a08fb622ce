"""What the benchmarks need that Decant does not: peers in virtual environments of their own, and a load generator."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.environments import CACHE


@dataclass(frozen=True, slots=True)
class Load:
    """One run of the load generator. Latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def hey() -> Path:
    """The load generator `hey`: on the path, or unpacked from Debian's package without installing it."""
    if found := shutil.which("hey"):
        return Path(found)
    unpacked = CACHE / "hey" / "usr" / "bin" / "hey"
    if not unpacked.exists():
        with tempfile.TemporaryDirectory() as folder:
            _run(["apt-get", "download", "-qq", "hey"], cwd=folder)
            (package,) = Path(folder).glob("hey_*.deb")
            _run(["dpkg", "-x", str(package), str(CACHE / "hey")])
    return unpacked


def load(url: str, body: Path, *, connections: int, seconds: float) -> Load:
    """Keep `connections` busy for `seconds`, one request at a time on each."""
    done = subprocess.run(
        [
            *(str(hey()), "-z", f"{seconds:g}s", "-c", str(connections), "-m", "POST"),
            *("-T", "application/json", "-D", str(body), url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return parse(done.stdout)


def parse(text: str) -> Load:
    """Read the summary that hey prints."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    quantiles = dict(re.findall(r"(\d+)%+ in ([\d.]+) secs", text))
    statuses = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", text)}
    errors = sum(int(count) for count in re.findall(r"\[(\d+)\]\s+(?:Post|Get)", text))
    if rate is None or not statuses:
        raise RuntimeError(f"hey printed no summary:\n{text}")
    failed = errors + sum(count for code, count in statuses.items() if code != 200)
    return Load(
        per_second=float(rate[1]),
        p50_ms=1000 * float(quantiles.get("50", "nan")),
        p99_ms=1000 * float(quantiles.get("99", "nan")),
        failed=failed,
    )


def _run(command: list[str], cwd: str | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)
