"""Print the path of a Prometheus program, fetching one into a folder that is shared by all runs of the tests.

The tests make many state folders; without a shared one each of them would fetch its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from services.errors import DecantError  # noqa: E402
from services.runtime.prometheus_binary import find_or_fetch  # noqa: E402
from services.settings import load_settings  # noqa: E402


def main() -> int:
    """Path on stdout, progress and errors on stderr."""
    try:
        path = find_or_fetch(
            load_settings(state_dir=ROOT / ".cache"), lambda sentence: print(sentence, file=sys.stderr)
        )
    except DecantError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(path)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
