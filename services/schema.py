"""A model's signature as Decant uses it: what goes in, what comes out. Pure; MLflow's own classes stay at its door."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """MLflow's column types, by their MLflow names."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATETIME = "datetime"
    OTHER = "other"  # arrays, objects, maps: sent as JSON


NUMBERS = (ColumnType.INTEGER, ColumnType.LONG, ColumnType.FLOAT, ColumnType.DOUBLE)


@dataclass(frozen=True, slots=True)
class Column:
    """One named input. `example` comes from the model's input example, if it has one."""

    name: str
    type: ColumnType
    required: bool = True
    example: object = None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor input: numpy dtype name and shape with -1 for a free axis."""

    dtype: str
    shape: tuple[int, ...]
    name: str = ""


def position_name(place: int) -> str:
    """What people call a column without a name, by its place from 0 on."""
    return f"column {place + 1}"


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs are columns, or one or more tensors, or (both empty) undeclared."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    outputs: tuple[str, ...] = ()  # names or types of the outputs, for people

    @property
    def named(self) -> bool:
        """True when the model wants named columns (so Seldon's `xtype: DataFrame`)."""
        return bool(self.columns)

    @property
    def by_position(self) -> bool:
        """Whether its columns have no names of their own; they are called `column 1` and so on for people."""
        return self.named and self.names == [position_name(place) for place in range(len(self.columns))]

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]
