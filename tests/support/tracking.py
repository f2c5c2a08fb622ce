"""MLflow's own idea of where it tracks, set for a while and then exactly as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow

PREFIX = "MLFLOW_"


@contextmanager
def tracking_at(uri: str) -> Iterator[None]:
    """Track into `uri`. MLflow keeps that choice in environment variables too, which later tests would inherit."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(before)
