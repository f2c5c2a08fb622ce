"""The command line of a model server: `python -m services.runtime.model_server --help`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_DEFAULTS = {
    **dict.fromkeys(_ONE_THREAD, "1"),  # many small processes share the machine; threads only fight over it
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a start without MLflow should say so within seconds
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.runtime.model_server",
        description="Serve one MLflow model over Seldon's protocol and V2.",
    )
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--model-uri", required=True, help="models:/…, runs:/…, a folder, file://, s3://, http(s)://")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--deployment", required=True)
    parser.add_argument("--predictor", required=True)
    parser.add_argument("--node", required=True, help="name of the graph node")
    parser.add_argument("--replica", type=int, default=0)
    parser.add_argument("--gateway-url", default="", help="where feedback for another arm goes")
    parser.add_argument("--models-dir", type=Path, default=None, help="download cache")
    parser.add_argument(
        "--dataframe-input", action="store_true", help="hand tables to a model without signature (xtype: DataFrame)"
    )
    parser.add_argument("--max-body-mb", type=float, default=16)
    parser.add_argument("--batch-rows", type=int, default=256, help="most rows merged into one predict call")
    parser.add_argument("--drain-s", type=float, default=5.0, help="seconds to finish requests after SIGTERM")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, prepare the environment (before numpy is imported), serve."""
    args = _parser().parse_args(argv)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    from services.runtime.model_server.options import ServerOptions
    from services.runtime.model_server.server import serve

    options = ServerOptions(
        port=args.port,
        model_uri=args.model_uri,
        namespace=args.namespace,
        deployment=args.deployment,
        predictor=args.predictor,
        node=args.node,
        replica=args.replica,
        gateway_url=args.gateway_url,
        models_dir=args.models_dir,
        dataframe_input=args.dataframe_input,
        max_body_bytes=int(args.max_body_mb * 2**20),
        batch_rows=args.batch_rows,
        drain_s=args.drain_s,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", ""),
    )
    return serve(options)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # a predict call that still runs must not hold up the exit, nor crash it
