"""The state folder."""

from __future__ import annotations

from pathlib import Path


class StatePaths:
    """Where things are inside the state folder. Making one creates nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desired = root / "desired"
        self.status = root / "status"
        self.envoy = root / "envoy"
        self.prometheus = root / "prometheus"
        self.mlflow = root / "mlflow"
        self.models = root / "models"
        self.uploads = root / "uploads"
        self.jobs = root / "jobs"
        self.bin = root / "bin"
        self.log = root / "log"
        self.supervisor = root / "supervisor"
        self.envoy_admin = root / "envoy" / "admin.sock"
        self.supervisor_socket = root / "supervisor" / "supervisor.sock"

    def create(self) -> StatePaths:
        for value in vars(self).values():
            if isinstance(value, Path) and not value.suffix:
                value.mkdir(parents=True, exist_ok=True)
        return self
