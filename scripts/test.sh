#!/usr/bin/env bash
# Everything the tests need beside Python packages, then the tests themselves.
# Arguments go to pytest: scripts/test.sh tests/unit -k split
set -euo pipefail
cd "$(dirname "$0")/.."

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

install_chromium() {
    local sudo=""
    if [ "$(id -u)" != 0 ]; then
        sudo="sudo -n"
        $sudo true 2>/dev/null || return 1
    fi
    command -v apt-get >/dev/null || return 1
    echo "Installing Debian's Chromium for the browser tests ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -q </dev/null >/dev/null || true
    $sudo apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core </dev/null >/dev/null
}

if ! find_chromium >/dev/null; then
    install_chromium && find_chromium >/dev/null || {
        echo "The browser tests need Chromium, and it could not be installed from here (no root, no sudo)." >&2
        echo "Install it (\`sudo apt install chromium\`), then try again; or run one ring: \`make test ARGS=tests/unit\`." >&2
        exit 1
    }
fi

# Found or fetched once, in .cache, instead of once for every state folder a test makes.
DECANT_PROMETHEUS_BIN="${DECANT_PROMETHEUS_BIN:-$(.venv/bin/python scripts/prometheus_path.py)}"
export DECANT_PROMETHEUS_BIN

# Two workers: tests/conftest.py keeps the rings with real processes together on one of them.
status=0
.venv/bin/python -m pytest -n 2 --dist loadgroup "$@" || status=$?
[ "$status" = 1 ] || exit "$status"

# A crowded machine can fail a test that waits for real processes. The files of what failed run once more, alone: only a
# failure that repeats is a failure, and one that does not is still named above, to be looked into.
mapfile -t files < <(.venv/bin/python -c '
import json
from pathlib import Path
print(*sorted({test.split("::")[0] for test in json.loads(Path(".pytest_cache/v/cache/lastfailed").read_text())}), sep="\n")')
[ "${#files[@]}" -le 6 ] || exit "$status"
echo "Once more, alone: ${files[*]}" >&2
exec .venv/bin/python -m pytest "${files[@]}"
