"""CSV files of late truths: a column `puid` and a column `truth`, `reward` or both. Read line by line, any length."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from services.domain.csv_text import (
    AS_UTF8,
    COMMA_SEPARATOR,
    has_comma,
    may_be_thousands,
    not_utf8,
    thousands_words,
    with_point,
)
from services.errors import InvalidInput, NotFound, Unavailable
from services.evidence.late import LateTruth

PUID, TRUTH, REWARD = "puid", "truth", "reward"
MISSING = frozenset({"", "nan", "na", "null", "none"})
HINT = "The first line names the columns: puid, and truth or reward (or both)."

_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LABEL_LIKE = re.compile(r"[+-]?0\d+")  # 007 is a label
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns are; None for one that is not there. `ignored` are columns that nobody asked for."""

    separator: str
    puid: int
    truth: int | None
    reward: int | None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used; the header is line 1. `words` has no full stop at its end."""

    line: int
    words: str


def read_header(line: str) -> Header:
    """Raises InvalidInput if the columns are not what is needed."""
    separator = max(",;\t", key=line.count)
    names = [name.strip().lower() for name in next(csv.reader([line.lstrip("\ufeff")], delimiter=separator), [])]
    for name in (PUID, TRUTH, REWARD):
        if names.count(name) > 1:
            raise InvalidInput(f"The file has {names.count(name)} columns “{name}”.", HINT)
    if PUID not in names:
        raise InvalidInput("The file has no column “puid”.", HINT)
    if TRUTH not in names and REWARD not in names:
        raise InvalidInput("The file has neither a column “truth” nor a column “reward”.", HINT)

    def place(name: str) -> int | None:
        return names.index(name) if name in names else None

    ignored = tuple(name for name in names if name not in (PUID, TRUTH, REWARD))
    return Header(separator, names.index(PUID), place(TRUTH), place(REWARD), ignored)


def read_truths(lines: Iterable[str]) -> Iterator[LateTruth | BadLine]:
    """Each line after the header, as what it says or what is wrong with it; empty lines are left out.

    Raises InvalidInput if the columns are not what is needed, or if this is not CSV.
    """
    numbered = iter(lines)
    try:
        first = next(numbered, "")
    except UnicodeDecodeError as error:
        raise not_utf8("The file", error.object) from error
    if "\0" in first or not first.strip():
        raise InvalidInput("The file is empty or not CSV.", HINT)
    header = read_header(first)
    seen: dict[str, int] = {}
    numbers = Numbers(header.separator)
    records = csv.reader(numbered, delimiter=header.separator)
    try:
        for cells in records:
            line = records.line_num + 1  # the reader has not seen the header
            if not any(cell.strip() for cell in cells):
                continue
            try:
                late = _read_line(cells, header, numbers, line)
            except InvalidInput as error:
                yield BadLine(line, error.sentence)
                continue
            before = seen.setdefault(late.puid, line)
            yield late if before == line else BadLine(line, f"puid {late.puid} stands on line {before} already")
    except UnicodeDecodeError as error:
        after = records.line_num + 1
        raise InvalidInput(f"The file is not text in UTF-8 after line {after}.", AS_UTF8) from error
    except csv.Error as error:
        after = records.line_num + 1
        raise InvalidInput(f"The file cannot be read as CSV after line {after}: {error}.", HINT) from error


class Numbers:
    """Reads numbers as one file writes them: where `;` separates, the decimal mark may be a comma.

    In such a file a point may group thousands: whichever of `0,5` and `1.234` comes later cannot be used.
    """

    def __init__(self, separator: str) -> None:
        self._commas = separator == COMMA_SEPARATOR
        self._comma = self._point = ""

    def plain(self, text: str) -> str:
        """The text with a decimal point, if it is a number with a comma. Raises InvalidInput."""
        if not self._commas:
            return text
        if may_be_thousands(text) and "," in text:
            raise InvalidInput(thousands_words(text))
        if has_comma(text):
            self._comma = self._comma or text
            if self._point:
                raise InvalidInput(f"“{text}” has a decimal comma, and “{self._point}” before it a point")
            return with_point(text)
        if may_be_thousands(text):
            self._point = self._point or text
            if self._comma:
                raise InvalidInput(thousands_words(text))
        return text


def _read_line(cells: list[str], header: Header, numbers: Numbers, line: int) -> LateTruth:
    def cell(place: int | None) -> str:
        return cells[place].strip() if place is not None and place < len(cells) else ""

    puid, truth, reward = cell(header.puid), cell(header.truth), cell(header.reward)
    if not puid:
        raise InvalidInput("the puid is missing")
    truth, reward = ("" if text.lower() in MISSING else text for text in (truth, reward))
    if not truth and not reward:
        missing = "truth" if header.reward is None else "reward" if header.truth is None else "truth or reward"
        raise InvalidInput(f"there is no {missing}")
    truth, reward = numbers.plain(truth), numbers.plain(reward)
    return LateTruth(puid, read_value(truth) if truth else None, _reward(reward) if reward else None, line)


def read_value(text: str) -> object:
    """A truth: a whole number, a number, true or false where it reads as one, else a label."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not _LABEL_LIKE.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
        raise InvalidInput(f"the truth “{text}” is too large for a number")
    return text


def _reward(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"the reward “{text}” is not a finite number")
    return number


def open_truths(path: str | Path) -> IO[str]:
    """A file of late truths, to be closed by the caller. Raises NotFound, InvalidInput (a folder), Unavailable."""
    found = Path(path).expanduser()
    if found.is_dir():
        raise InvalidInput(f"{path} is a folder.", "Name the file with the truths in it.")
    if not found.is_file():
        raise NotFound("file", str(path))
    try:
        return found.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise Unavailable(f"The file {path}", str(error)) from error
