"""Settings of the work and its limits: where evidence and jobs are kept, how large and how long things may be."""

from __future__ import annotations

from pydantic import Field

from services.settings.base import Group


class WorkSettings(Group):
    """The evidence store, the queue, large replays, requests and uploads."""

    database_url: str = Field(
        "", description="SQLAlchemy URL of the evidence store. Empty: SQLite in the state folder."
    )
    queue_url: str = Field(
        "",
        description="Where jobs wait for a worker: `redis://...`, `rediss://...`, or a PostgreSQL's SQLAlchemy URL. "
        "Empty: the PostgreSQL of `DECANT_DATABASE_URL` if that is one, else a file in the state folder.",
    )

    replay_job_rows: int = Field(
        100_000,
        ge=0,
        description="Rows from which several senders share a replay: the pods of a Job, where Decant itself runs in a "
        "cluster, over a PostgreSQL. 0: never.",
    )
    replay_job_workers: int = Field(
        4, ge=1, le=64, description="How many senders share such a replay, each with one processor core to use."
    )
    pod_name: str = Field(
        "", description="The pod that this worker runs in, set by its manifest: a replay's senders are made like it."
    )
    pod_namespace: str = Field("", description="The namespace of that pod, where the senders run too.")
    sender_account: str = Field(
        "", description="Service account of the senders, which need less than the worker. Empty: the worker's."
    )

    max_body_mb: int = Field(
        16, ge=1, le=1024, description="Largest request body that gateway and model servers take, MiB."
    )
    max_upload_mb: int = Field(
        100, ge=1, le=4096, description="Largest dataset that can be uploaded for a replay, MiB."
    )
    max_connections: int = Field(2048, ge=16, description="Connections that the gateway accepts at once.")
    request_timeout_s: float = Field(30.0, gt=0, description="Longest time a prediction may take, seconds.")
    start_timeout_s: float = Field(
        120.0, gt=0, description="Longest time a model server may take to load its model, seconds."
    )
    drain_s: float = Field(5.0, ge=0, description="How long a replaced model server may finish its requests, seconds.")
    batch_rows: int = Field(256, ge=1, description="Most rows that a model server merges into one predict call.")

    @property
    def queue_address(self) -> str:
        """URL of the queue that several machines share; empty: a file in the state folder."""
        if not self.queue_url and self.database_url.startswith("postgresql"):
            return self.database_url
        return self.queue_url
