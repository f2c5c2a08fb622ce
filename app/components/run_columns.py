"""Which columns a table of runs has, and its cells. Pure: runs in, a frame out.

A column is known by a key such as `metric:rmse`, which is what the URL remembers; a parameter and a metric of one name
stay apart.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from services.tracking.runs import Run

PARAM, METRIC, TAG = "param:", "metric:", "tag:"
FIXED = {
    "started": "Started",
    "duration": "Duration, s",
    "status": "Status",
    "user": "User",
    "id": "Run id",
    "experiment": "Experiment id",
}
DEFAULT_FIXED = ("started", "status")
DEFAULT_LIMIT = 6  # parameters and metrics each: what fits a screen without scrolling sideways


def label(key: str) -> str:
    """What stands above the column."""
    return FIXED.get(key) or key.partition(":")[2]


def kind(key: str) -> str:
    """What the column holds, in a word."""
    return {PARAM: "parameter", METRIC: "metric", TAG: "tag"}.get(key.partition(":")[0] + ":", "run")


def available(runs: Sequence[Run]) -> list[str]:
    """Every column these runs could have: fixed ones, then metrics, parameters and tags by name."""
    metrics = sorted({name for run in runs for name in run.metrics})
    params = sorted({name for run in runs for name in run.params})
    tags = sorted({name for run in runs for name in run.tags})
    return [*FIXED, *(METRIC + n for n in metrics), *(PARAM + n for n in params), *(TAG + n for n in tags)]


def default(runs: Sequence[Run]) -> list[str]:
    """What to show to somebody who chose nothing: parameters that differ first, then metrics."""
    found = available(runs)
    params = sorted((k for k in found if k.startswith(PARAM)), key=lambda k: (not differs(k, runs), k))
    metrics = [k for k in found if k.startswith(METRIC)]
    return [*params[:DEFAULT_LIMIT], *metrics[:DEFAULT_LIMIT], *DEFAULT_FIXED]


def read_choice(text: str | None) -> list[str] | None:
    """The columns that the URL names; None if it names none or is not readable."""
    try:
        chosen = json.loads(text) if text else None
    except ValueError:
        return None
    return [str(key) for key in chosen] if isinstance(chosen, list) and chosen else None


def write_choice(keys: Sequence[str]) -> str:
    """The columns as the URL keeps them; empty for none."""
    return json.dumps(list(keys), ensure_ascii=False, separators=(",", ":")) if keys else ""


def value(key: str, run: Run) -> Any:
    """One cell; None where the run has nothing."""
    group, _, name = key.partition(":")
    if name:
        held: dict[str, Mapping[str, Any]] = {"param": run.params, "metric": run.metrics, "tag": run.tags}
        return held.get(group, {}).get(name)
    if key == "duration":
        return seconds(run.started_at, run.ended_at)
    return {
        "started": run.started_at,
        "status": run.status,
        "user": run.user,
        "id": run.run_id,
        "experiment": run.experiment_id,
    }.get(key)


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From start to end, None while one of them is unknown."""
    return round((end - start).total_seconds(), 1) if start and end else None


def differs(key: str, runs: Sequence[Run]) -> bool:
    """Whether the runs do not all agree in this column."""
    return len({_comparable(value(key, run)) for run in runs}) > 1


def names(runs: Sequence[Run]) -> list[str]:
    """What to call each run: by its name, and with the start of its id where others have the same name."""
    found = Counter(run.name for run in runs)
    return [
        run.run_id[:8] if not run.name else f"{run.name} · {run.run_id[:8]}" if found[run.name] > 1 else run.name
        for run in runs
    ]


def frame(runs: Sequence[Run], keys: Sequence[str], zone: Any) -> pd.DataFrame:
    """The table: the run's name first, then `keys`. Parameters that all read as numbers become numbers, to sort so."""
    columns: dict[str, Any] = {"name": names(runs)}
    for key in keys:
        cells = [value(key, run) for run in runs]
        if key == "started":
            cells = [at.astimezone(zone).replace(tzinfo=None) if at else None for at in cells]
            columns[key] = pd.to_datetime(pd.Series(cells, dtype="object"))
        elif key.startswith(PARAM):
            columns[key] = as_numbers(cells)
        else:
            columns[key] = cells
    return pd.DataFrame(columns, index=range(len(runs)))


def as_numbers(cells: Sequence[str | None]) -> list[Any]:
    """The cells as numbers if every present one is a number, else as they are."""
    numbers: list[float | None] = []
    for cell in cells:
        try:
            numbers.append(None if cell is None else float(cell))
        except ValueError:
            return list(cells)
    return numbers


def _comparable(cell: Any) -> Any:
    return "nan" if isinstance(cell, float) and math.isnan(cell) else cell
