"""Render manifests/decant's overlays with kustomize; `--write` puts what they make into manifests/decant/rendered.

A test compares the two, so a change of a base shows what it means for every overlay.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DECANT = ROOT / "manifests" / "decant"
OVERLAYS = ("kind", "production")


def kubectl() -> Path:
    """The one of requirements-dev.txt, which holds kustomize."""
    return Path(sys.executable).with_name("kubectl")


def render(folder: Path) -> str:
    """What `kubectl apply -k` would send. Raises CalledProcessError."""
    command = [kubectl(), "kustomize", folder]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def golden(overlay: str) -> Path:
    return DECANT / "rendered" / f"{overlay}.yaml"


def main() -> int:
    for overlay in OVERLAYS:
        made = render(DECANT / "overlays" / overlay)
        if "--write" in sys.argv[1:]:
            golden(overlay).parent.mkdir(exist_ok=True)
            golden(overlay).write_text(made)
        else:
            print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
