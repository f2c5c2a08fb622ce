"""Counts over a window that begins while Prometheus was down: samples of the past are backfilled into a real one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.metrics.prometheus import MetricsReader
from tests.support.prometheus import SCRAPE_S, backfill, running_prometheus
from tests.support.waiting import wait_until

NAME = "seldon_api_executor_server_requests_seconds_count"
ARM = 'namespace="seldon",deployment_name="wine",predictor_name="a",service="predictions",method="post"'
STEP_S = 10


def remember(folder: Path, now: float) -> None:
    """Half an hour of samples with an outage from 25 to 10 minutes ago; a code that first appears 5 minutes ago."""
    watched = [now - ago for ago in range(1800, 1500, -STEP_S)] + [now - ago for ago in range(600, 0, -STEP_S)]
    target = 'instance="10.0.0.1:9000",job="models"'
    lines = ["# TYPE up gauge"]
    lines += [f"up{{{target}}} 1 {at:.3f}" for at in watched]
    lines.append(f"# TYPE {NAME} unknown")
    # 5,000 predictions before the outage ended, one more every ten seconds afterwards.
    lines += [
        f'{NAME}{{{target},{ARM},code="200"}} {5000 + max(0, 60 - (now - at) / STEP_S):.0f} {at:.3f}' for at in watched
    ]
    lines += [f'{NAME}{{{target},{ARM},code="500"}} 3 {at:.3f}' for at in watched if now - at <= 300]
    backfill(folder, lines)


def test_a_window_that_starts_in_an_outage_leaves_the_past_out(tmp_path: Path) -> None:
    now = time.time()
    remember(tmp_path, now)
    with running_prometheus(tmp_path, {}) as prometheus:
        reader = MetricsReader(prometheus.url, SCRAPE_S)
        end = datetime.fromtimestamp(now, UTC)
        wait_until(lambda: reader.totals("seldon", "wine", end - timedelta(minutes=5), end), what="the past")
        in_outage = reader.tiles("seldon", "wine", 15 * 60, end)
        assert in_outage.n == 59 + 3  # since the first scrape after the outage; the 3 errors were seen to begin
        assert round((in_outage.rate_5xx or 0) * 15 * 60) == 3
        before = reader.tiles("seldon", "wine", 28 * 60, end)
        assert before.n == 59 + 3  # 5,000 is what the counter had reached before the outage already
