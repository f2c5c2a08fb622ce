"""Numbers to text, the same way on every surface: short, with a unit, and a dash where nothing is known. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

NONE = "—"
BEYOND_WORDS = 1e15
IN_FULL = 1e6
THIN = "\u202f"  # narrow no-break space: keeps number and unit on one line


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def number(value: float | None, digits: int = 3) -> str:
    """`value` with about `digits` significant digits: 0.0123, 4.5, 80, 4,898, 12.3 k, 4.9 M."""
    if value is None or not _known(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size, suffix = abs(value), ""
    if size >= BEYOND_WORDS:
        return f"{value:.{digits}g}".replace("-", "−")
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit * 0.9995:
            scale = 1e3 if letter == "k" else limit
            value, suffix = value / scale, THIN + letter
            break
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−") + suffix


def alike(values: Sequence[float | None], digits: int = 3) -> list[str]:
    """Numbers of one measure beside each other, with the same number of decimals; in full below a million.

    The largest has about `digits` significant digits, and small ones beside it keep two decimals.
    """
    places = decimals(values, digits)
    return [number(value, digits) if places is None else fixed(value, places) for value in values]


def decimals(values: Iterable[float | None], digits: int = 3) -> int | None:
    """How many decimals suit all of `values`; None if there is none to go by, or one is too large to write in full."""
    sizes = [abs(value) for value in values if value is not None and math.isfinite(value) and value]
    if not sizes or max(sizes) >= IN_FULL:
        return None
    places = digits - 1 - math.floor(math.log10(max(sizes)))
    if places < 2:
        places = max(places, min(2, 1 - math.floor(math.log10(min(sizes)))))
    places = min(max(places, 0), 6)
    while places and all(f"{size:.{places}f}".endswith("0") for size in sizes):
        places -= 1
    return places


def fixed(value: float | None, places: int) -> str:
    """`value` with so many decimals: 0.7100, 14,563."""
    if value is None or not math.isfinite(value):
        return number(value)
    text = f"{value:,.{places}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.removeprefix("-")


def count(value: float | None) -> str:
    """A whole number in full: 4,898."""
    return f"{round(value):,}" if value is not None and _known(value) else NONE


def rate(per_s: float | None) -> str:
    """Events per second: 3.4/s, 12 k/s."""
    return f"{number(per_s)}/s" if _known(per_s) else NONE


def size(count: int) -> str:
    """Bytes in the unit that suits them: `512 B`, `3.4 MB`, `1.2 GB` (powers of ten)."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def latency(ms: float | None) -> str:
    """Milliseconds up to a second, then seconds: 4.3 ms, 1.2 s."""
    if ms is None or not _known(ms):
        return NONE
    return f"{number(ms / 1000)}{THIN}s" if ms >= 1000 else f"{number(ms)}{THIN}ms"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as percent: 0.8 -> 80 %. Not quite all never reads 100 %, not quite nothing never 0 %."""
    if share is None or not _known(share):
        return NONE
    text = f"{share * 100:.{digits}f}"
    if float(text) == 100 and share < 1:
        text = f"> {100 - 10**-digits:g}"
    elif float(text) == 0 and share > 0:
        text = f"< {10**-digits:g}"
    elif "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{THIN}%"


def duration(seconds: float | None) -> str:
    """A length of time in its largest two units: 42 s, 15 min, 1 h 5 min, 3 d 2 h."""
    if seconds is None or not _known(seconds):
        return NONE
    left = round(seconds)
    if left < 60:
        return f"{left}{THIN}s"
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size}{THIN}{unit}")
            left %= size
        elif parts:
            break
        if len(parts) == 2 or unit == "min":
            break
    return " ".join(parts)


def ago(at: datetime | None, now: datetime | None = None) -> str:
    """How long ago: just now, 42 s ago, 5 min ago, 3 d ago. Naive times are taken as UTC."""
    if at is None:
        return NONE
    seconds = ((now or datetime.now(UTC)) - aware(at)).total_seconds()
    if seconds < 5:
        return "just now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)}{THIN}{unit} ago"
    return f"{int(seconds)}{THIN}s ago"


def clock(at: datetime | None, zone: tzinfo = UTC, now: datetime | None = None) -> str:
    """Time of day in `zone`, with the date when it is not today: 12:04:31, 22 Nov 12:04."""
    if at is None:
        return NONE
    local, today = aware(at).astimezone(zone), (now or datetime.now(UTC)).astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local.day} {local:%b %H:%M}"


def moment(at: datetime | None, zone: tzinfo = UTC) -> str:
    """A time with its date and zone, for what is read on another day or elsewhere: 22 Nov 2026 12:04 CET."""
    if at is None:
        return NONE
    local = aware(at).astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M %Z}"


def short_arms(names: Iterable[str]) -> dict[str, str]:
    """Names of arms without the ending that all share: `a-wine-dag`, `b-wine-dag` -> `a`, `b`. Alone, a name stays."""
    known = list(dict.fromkeys(names))
    parts = [name.split("-") for name in known]
    shared = 0
    while len(known) > 1 and all(len(p) > shared + 1 for p in parts) and len({p[-1 - shared] for p in parts}) == 1:
        shared += 1
    return {name: "-".join(p[: len(p) - shared]) for name, p in zip(known, parts, strict=True)}


def aware(at: datetime) -> datetime:
    """`at` with a time zone: SQLite gives back naive times, which are UTC here."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
