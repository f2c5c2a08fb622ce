"""CSV as spreadsheets write it: decimal commas where `;` separates, and encodings other than UTF-8. Pure."""

from __future__ import annotations

import codecs
import re

from services.errors import InvalidInput

COMMA_SEPARATOR = ";"
"""Where this separates the columns, a comma may be the decimal mark: so write a German or French Excel."""

AS_UTF8 = "In a spreadsheet, save it as “CSV UTF-8”."
WITHOUT_THOUSANDS = "Write numbers without marks for thousands."

_COMMA_NUMBER = re.compile(r"\s*[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?\s*")
_WHOLE = re.compile(r"\s*[+-]?\d+([eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?\s*")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def has_comma(text: str) -> bool:
    """Whether it is a number with a decimal comma, such as `0,27` or `-1,5e3`."""
    return _COMMA_NUMBER.fullmatch(text) is not None


def reads_as_number(text: str) -> bool:
    """Whether it is a number where commas are decimal: one with a comma, or a whole one."""
    return has_comma(text) or _WHOLE.fullmatch(text) is not None


def with_point(text: str) -> str:
    return text.strip().replace(",", ".")


def may_be_thousands(text: str) -> bool:
    """Whether its points may group thousands, as in `1.234,5`, or in `1.234`, which nobody can tell beside commas."""
    return _THOUSANDS.fullmatch(text) is not None


def thousands_words(text: str) -> str:
    """What is wrong with such a number beside decimal commas, without a full stop at its end."""
    said = text.strip()
    if "," in said or said.count(".") > 1:
        return f"“{said}” groups its thousands with points"
    return f"“{said}” stands beside decimal commas, so it may be a fraction or {said.replace('.', '')}"


def not_utf8(name: str, content: bytes) -> InvalidInput:
    """The error for bytes, from the start of a file on, that are no text in UTF-8."""
    if content.startswith(UTF16):
        return InvalidInput(f"{name} is text in UTF-16, as Excel's “Unicode text” is.", AS_UTF8)
    return InvalidInput(f"{name} is not text in UTF-8.", AS_UTF8)
