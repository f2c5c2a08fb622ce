"""Virtual environments for programs that cannot live beside Decant's own packages: peers and the tutorial's client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from services.settings import ROOT

CACHE = ROOT / ".cache" / "bench"
# uvloop 0.22 dropped what the workers of MLServer 1.7 rely on.
MLSERVER = ("mlserver==1.7.1", "mlserver-mlflow==1.7.1", "scikit-learn==1.9.1", "uvloop<0.22")
SELDON_CLIENT = ("seldon-core==1.18.2", "setuptools<81", "pandas<3")


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """A cached virtual environment with exactly these packages; returns its bin folder."""
    folder = CACHE / name
    stamp = folder / "packages.txt"
    wanted = "\n".join(packages)
    CACHE.mkdir(parents=True, exist_ok=True)
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv")
        if uv:
            _run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
            _run([uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), *packages])
        else:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *packages])
        stamp.write_text(wanted)
    return folder / "bin"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
