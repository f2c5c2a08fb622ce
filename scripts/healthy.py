"""Whether the part that a container runs is alive: exit code 0 or 1. `python scripts/healthy.py dashboard|worker`.

Run every few seconds, so it uses the standard library only: importing Decant would cost more than the part itself.
"""

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 5
STALE_S = 60
"""A worker gives a sign of life every two seconds; a busy machine may delay it."""


def main() -> int:
    part = sys.argv[1] if len(sys.argv) > 1 else "dashboard"
    problem = worker() if part == "worker" else dashboard()
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


def dashboard() -> str:
    """What is wrong with it; empty if nothing is."""
    url = f"http://127.0.0.1:{os.environ.get('DECANT_DASHBOARD_PORT', '8501')}/_stcore/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return ""
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


def worker() -> str:
    """What is wrong with it; empty if nothing is."""
    sign = Path(os.environ.get("DECANT_STATE_DIR", ".decant")) / "status" / "worker.json"
    try:
        age_s = time.time() - sign.stat().st_mtime
    except OSError as error:
        return f"no sign of life yet: {error}"
    return "" if age_s < STALE_S else f"the last sign of life is {age_s:.0f} s old"


if __name__ == "__main__":
    sys.exit(main())
