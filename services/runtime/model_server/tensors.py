"""Arrays for models with a tensor signature: one unnamed tensor, or several named ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from services.errors import InvalidPayload
from services.runtime.model_server.parts import Assembled, NamedArray, Part
from services.runtime.model_server.values import NON_FINITE, show
from services.schema import Signature, TensorSpec


@dataclass(frozen=True)
class TensorLayout:
    """One array per tensor of the signature; `tails` are the shapes behind the row axis. Payloads: tuples of arrays."""

    tensors: tuple[TensorSpec, ...]
    tails: tuple[tuple[int, ...], ...]

    @property
    def mergeable(self) -> bool:
        return all(t.shape and t.shape[0] == -1 for t in self.tensors)

    def assemble(self, payloads: Sequence[tuple[np.ndarray[Any, Any], ...]]) -> Assembled:
        joined = payloads[0] if len(payloads) == 1 else tuple(np.concatenate(a) for a in zip(*payloads, strict=True))
        if len(self.tensors) == 1 and not self.tensors[0].name:
            return Assembled(joined[0], True)
        return Assembled({t.name: a for t, a in zip(self.tensors, joined, strict=True)}, True)


class TensorReader:
    """Reads payloads into the arrays that a tensor signature declares."""

    def __init__(self, signature: Signature) -> None:
        self._tensors = signature.tensors

    def from_rows(self, rows: Any, _names: Sequence[str], field: str) -> Part:
        return self._part([self._array(self._only(field), rows, field)], field)

    def from_tensor(self, shape: Sequence[int], values: list[Any], _names: Sequence[str], field: str) -> Part:
        spec = self._only(field)
        array = self._array(spec, values, f"{field}.values", check_shape=False).reshape(shape)
        return self._part([self._shaped(spec, array, f"{field}.shape")], field)

    def from_json(self, value: Any, field: str) -> Part:
        if isinstance(value, Mapping):
            known = [t.name for t in self._tensors]
            missing = [n for n in known if n not in value]
            extra = [n for n in value if n not in known]
            if missing or extra:
                problems = [f'tensor "{n}" is missing' for n in missing] + [f'tensor "{n}" is unknown' for n in extra]
                raise InvalidPayload(field, f"{'; '.join(problems)}.")
            return self._part([self._array(t, value[t.name], f"{field}.{t.name}") for t in self._tensors], field)
        return self.from_rows(value, (), field)

    def from_text(self, _text: str, field: str) -> Part:
        raise InvalidPayload(field, "this model takes numbers in a tensor, not a text.")

    def from_arrays(self, arrays: Sequence[NamedArray], _content_type: str, field: str) -> Part:
        by_name = {a.name: a for a in arrays}
        if len(self._tensors) == 1 and len(arrays) == 1:
            found = [arrays[0]]
        else:
            missing = [t.name for t in self._tensors if t.name not in by_name]
            if missing:
                raise InvalidPayload(field, f'tensor "{missing[0]}" is missing.')
            found = [by_name[t.name] for t in self._tensors]
        ready = []
        for spec, sent in zip(self._tensors, found, strict=True):
            array = self._array(spec, sent.values, f"{sent.field}.data", check_shape=False).reshape(sent.shape)
            ready.append(self._shaped(spec, array, f"{sent.field}.shape"))
        return self._part(ready, field)

    def _only(self, field: str) -> TensorSpec:
        if len(self._tensors) > 1:
            names = ", ".join(t.name for t in self._tensors)
            raise InvalidPayload(
                field, f"this model takes several tensors ({names}).", "Send them in jsonData by name."
            )
        return self._tensors[0]

    def _array(
        self, spec: TensorSpec, values: Any, field: str, *, check_shape: bool = True
    ) -> np.ndarray[Any, np.dtype[Any]]:
        if not isinstance(values, list):
            raise InvalidPayload(field, "must be a list.")
        if not values:
            raise InvalidPayload(field, "has no rows.")
        try:
            raw = np.array(values)
        except ValueError as error:
            raise InvalidPayload(field, "its rows differ in length.") from error
        except OverflowError as error:
            raise InvalidPayload(field, "a number is too large.") from error
        array = _cast(raw, values, np.dtype(spec.dtype), field)
        return self._shaped(spec, array, field) if check_shape else array

    def _shaped(
        self, spec: TensorSpec, array: np.ndarray[Any, np.dtype[Any]], field: str
    ) -> np.ndarray[Any, np.dtype[Any]]:
        fits = len(spec.shape) == array.ndim and all(e in (-1, a) for e, a in zip(spec.shape, array.shape, strict=True))
        if not fits:
            wanted = f"{list(spec.shape)} (-1: any)"
            raise InvalidPayload(field, f"has the shape {list(array.shape)}, but this model takes {wanted}.")
        if array.shape[0] == 0:
            raise InvalidPayload(field, "has no rows.")
        return array

    def _part(self, arrays: Sequence[np.ndarray[Any, Any]], field: str) -> Part:
        rows = {a.shape[0] for a in arrays}
        if len(rows) > 1:
            raise InvalidPayload(field, f"the tensors differ in their number of rows ({sorted(rows)}).")
        return Part(TensorLayout(self._tensors, tuple(a.shape[1:] for a in arrays)), rows.pop(), tuple(arrays))


def _cast(
    raw: np.ndarray[Any, np.dtype[Any]], values: list[Any], dtype: np.dtype[Any], field: str
) -> np.ndarray[Any, np.dtype[Any]]:
    """Convert without loss: whole numbers to floats and back, nothing else. Raises InvalidPayload naming the cell."""
    kind = dtype.kind
    if kind == "O":
        return raw.astype(object)
    if kind in "US" and raw.dtype.kind == "U" and _all_of(values, (str,)):
        return raw.astype(dtype) if kind == "U" else np.char.encode(raw, "utf-8")
    if kind == "b" and raw.dtype.kind == "b":
        return raw
    if kind == "f":
        if raw.dtype.kind in "OU":
            raw = np.array(_floats(values, field), dtype=np.float64)
        if raw.dtype.kind in "iuf" and not _holds_bool(values, raw):
            with np.errstate(over="ignore"):
                cast = raw.astype(dtype)
            if not np.isfinite(cast[np.isfinite(raw)]).all():
                raise InvalidPayload(field, f"a number is too large for {dtype.name}.")
            return cast
    if kind in "iu" and raw.dtype.kind in "iuf" and not _holds_bool(values, raw):
        limits = np.iinfo(dtype)
        if raw.dtype.kind == "f" and not (np.isfinite(raw).all() and (raw == np.floor(raw)).all()):
            raise InvalidPayload(field, "holds a number that is not whole, but this model takes whole numbers.")
        if raw.size and (raw.max() > limits.max or raw.min() < limits.min):
            raise InvalidPayload(field, f"a number does not fit into {dtype.name}.")
        return raw.astype(dtype)
    raise InvalidPayload(field, f"cannot be read as {dtype.name}: it holds {_kinds(values)}.")


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _all_of(values: list[Any], kinds: tuple[type, ...]) -> bool:
    return all(isinstance(v, kinds) for v in _flat(values))


def _holds_bool(values: list[Any], raw: np.ndarray[Any, np.dtype[Any]]) -> bool:
    # numpy turns [True, 2] into [1, 2]; small arrays are worth the look, images are not sent with booleans in them.
    return raw.size <= 4096 and any(type(v) is bool for v in _flat(values))


def _floats(values: Any, field: str) -> Any:
    """Nested lists with null and "NaN" replaced; names the cell of anything that is no number."""
    out = []
    for i, value in enumerate(values):
        here = f"{field}[{i}]"
        if isinstance(value, list):
            out.append(_floats(value, here))
        elif value is None:
            out.append(float("nan"))
        elif isinstance(value, str) and value in NON_FINITE:
            out.append(NON_FINITE[value])
        elif type(value) in (int, float):
            out.append(value)
        else:
            raise InvalidPayload(here, f"{show(value)} is not a number.")
    return out


def _kinds(values: list[Any]) -> str:
    words = {str: "text", bool: "true or false", type(None): "null", float: "numbers", int: "numbers", dict: "objects"}
    return " and ".join(sorted({words.get(type(v), type(v).__name__) for v in _flat(values)})) or "nothing"


def size_of(shape: Sequence[int]) -> int:
    """The number of values in a tensor of that shape."""
    return prod(shape)
