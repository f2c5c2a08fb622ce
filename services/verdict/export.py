"""A verdict as a table for other programs: one line per metric and source, with the call on each."""

from __future__ import annotations

import io

import pandas as pd

from services.evidence.export import ExportForm
from services.verdict.model import Assessment


def verdict_frame(found: Assessment) -> pd.DataFrame:
    """One row per metric. Differences are B - A in the unit of the metric, shares as numbers within 0 to 1."""
    return pd.DataFrame(
        [
            {
                "namespace": found.test.namespace,
                "deployment": found.test.deployment,
                "test": found.test.id,
                "as_of": found.as_of,
                "call": found.call.value,
                "headline": found.headline,
                "metric": row.key,
                "source": row.source.value,
                "unit": row.unit,
                "primary": row.primary,
                "decides": row.decides,
                "a": row.a.value,
                "n_a": row.a.n,
                "b": row.b.value,
                "n_b": row.b.n,
                "difference": row.difference.estimate if row.difference else None,
                "low": row.difference.low if row.difference else None,
                "high": row.difference.high if row.difference else None,
                "level": row.difference.level if row.difference else None,
                "p": row.difference.p if row.difference else None,
                "better": row.better,
                "limit": row.limit,
                "note": row.note,
            }
            for row in found.table
        ]
    )


def verdict_as(form: ExportForm, found: Assessment) -> bytes:
    """The same as the bytes of a file."""
    frame = verdict_frame(found)
    if form is ExportForm.CSV:
        return frame.to_csv(index=False).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
