"""Columns of a CSV whose numbers have decimal commas, as a German or French Excel writes them beside `;`."""

from __future__ import annotations

import io

import pandas as pd

from services.domain.csv_text import (
    COMMA_SEPARATOR,
    WITHOUT_THOUSANDS,
    has_comma,
    may_be_thousands,
    reads_as_number,
    thousands_words,
    with_point,
)
from services.errors import InvalidInput


def with_decimal_commas(name: str, content: bytes, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with numbers in those columns whose every value is one, with decimal commas.

    Raises InvalidInput where another column has values such as 1.234, whose point may group thousands then.
    """
    found = {
        column: frame[column].dropna().astype(str)
        for column in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column])
    }
    for column, cells in found.items():
        grouped = next(filter(may_be_thousands, cells), "")
        numeric = all(reads_as_number(cell) or may_be_thousands(cell) for cell in cells)
        if grouped and numeric and any("," in cell for cell in cells):
            raise InvalidInput(f"{name}, column “{column}”: {thousands_words(grouped)}.", WITHOUT_THOUSANDS)
    commas = {c: cells for c, cells in found.items() if any(map(has_comma, cells)) and all(map(reads_as_number, cells))}
    if not commas:
        return frame
    floats = [column for column in frame.columns if pd.api.types.is_float_dtype(frame[column])]
    raw = pd.read_csv(io.BytesIO(content), sep=COMMA_SEPARATOR, encoding="utf-8-sig", dtype=str, usecols=floats)
    for column in floats:
        pointed = [cell for cell in raw[column].dropna() if "." in cell]
        if pointed and all(map(may_be_thousands, pointed)):
            raise InvalidInput(f"{name}, column “{column}”: {thousands_words(pointed[0])}.", WITHOUT_THOUSANDS)
    numbers = {column: pd.to_numeric(cells.map(with_point)) for column, cells in commas.items()}
    return frame.assign(**{str(column): cells.reindex(frame.index) for column, cells in numbers.items()})
