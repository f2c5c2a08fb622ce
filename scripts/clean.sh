#!/usr/bin/env bash
# Remove what can be made again. The state folder cannot: it goes only when asked for by name, or after a yes.
set -euo pipefail
cd "$(dirname "$0")/.."
state="${DECANT_STATE_DIR:-.decant}"

if [ -x .venv/bin/python ] && [ -d "$state" ]; then
    .venv/bin/python -m app down || { echo "Decant could not be stopped, so nothing is removed." >&2; exit 1; }
fi
rm -rf .venv .venv.lock .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache tests/browser/failures
find . -name __pycache__ -type d -not -path "./$state/*" -prune -exec rm -rf {} +

[ -d "$state" ] || exit 0
answer="${1:-}"
if [ -z "$answer" ] && [ -t 0 ]; then
    read -r -p "Also delete $state: every deployment, trained model and the history? [y/N] " answer
fi
case "$answer" in
    1 | y | Y | yes) rm -rf "$state" && echo "Removed $state." ;;
    *) echo "Kept $state (\`make clean STATE=1\` removes it too)." ;;
esac
