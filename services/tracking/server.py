"""The local MLflow server in one process: `python -m services.tracking.server --folder DIR --port N`.

`mlflow server` keeps its command-line process, with all of MLflow imported, beside the process that serves: 506 MiB
and 13 s to the first answer on two cores, where this takes 264 MiB and 6 s. It serves the same application with the
same defaults (artifacts through the server, host checks on), with MLflow's background jobs off.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HOST = "127.0.0.1"
APPLICATION = "mlflow.server.fastapi_app:app"


def environment(folder: Path) -> dict[str, str]:
    """What MLflow's application reads at import; the names are those that `mlflow server` hands to its workers."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def serve(folder: Path, port: int) -> None:
    """Serve on loopback until a TERM or INT. Exits with 1 when the port is taken."""
    folder = folder.resolve()
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    # A tracking URI from outside would send this server to another one.
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.update(environment(folder))
    # Each search for runs tries to import MLflow's optional sign-in module, in vain without its extra packages:
    # 40 ms and more a search. Known to be absent, it costs nothing.
    sys.modules["mlflow.server.auth"] = None  # type: ignore[assignment]
    import uvicorn

    uvicorn.run(APPLICATION, host=HOST, port=port, workers=1, log_level="warning", timeout_graceful_shutdown=5)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve MLflow from one folder, in one process.")
    parser.add_argument("--folder", type=Path, required=True, help="where the database and the artifacts are")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    serve(given.folder, given.port)


if __name__ == "__main__":
    main()
