"""What a model server is told when it starts: one frozen value, filled from the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PREDICTOR_KEY = "decant.dev/predictor"
"""Entry of meta.requestPath that names the arm. SeldonClient hands an answer back inside feedback only if meta.tags is
empty (its protobuf classes refuse a plain dict there), so the path, a map of strings, is what carries the arm."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """One predictor replica. Times in seconds, sizes in bytes."""

    port: int
    model_uri: str
    namespace: str
    deployment: str
    predictor: str
    node: str
    replica: int = 0
    gateway_url: str = ""
    models_dir: Path | None = None
    dataframe_input: bool = False
    max_body_bytes: int = 16 * 1024 * 1024
    batch_rows: int = 256
    drain_s: float = 5.0
    tracking_uri: str = ""

    @property
    def model_version(self) -> str:
        """The last word of the URI that tells versions apart: `m-…`, a run id, a registered version, a folder."""
        run = re.match(r"runs:/([^/]+)", self.model_uri)
        return run.group(1) if run else self.model_uri.rstrip("/").rsplit("/", 1)[-1]

    @property
    def model_image(self) -> str:
        """What stands in for Seldon's container image: the library that runs the model, with its version."""
        try:
            return f"decant/mlflow:{version('mlflow')}"
        except PackageNotFoundError:
            return "decant/mlflow"

    @property
    def feedback_url(self) -> str:
        return f"{self.gateway_url.rstrip('/')}/seldon/{self.namespace}/{self.deployment}/api/v1.0/feedback"
