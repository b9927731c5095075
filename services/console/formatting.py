"""Numbers, durations and times as text. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_CLOCK_TOLERANCE_S = 5.0
_MAXIMUM_LENGTH = 400


def duration(seconds: float) -> str:
    """A duration in its largest whole unit: `42 s`, `3 min`, `5 h`, `12 d`."""
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def age(time: datetime, now: datetime) -> str:
    """How long ago a time was."""
    seconds = (now - time).total_seconds()
    if seconds < -_CLOCK_TOLERANCE_S:
        return f"{duration(-seconds)} ahead of this clock"
    return f"{duration(seconds)} ago"


def clock(time: datetime) -> str:
    """A time to the minute, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def iso(time: datetime) -> str:
    """A time to the second, in UTC, for programs."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def window(start: datetime, end: datetime) -> str:
    """A time window; the date of its end only if it is another."""
    from_, to = clock(start), clock(end)
    return f"{from_} – {to[11:] if from_[:10] == to[:10] else to}"


def count(number: int, thing: str) -> str:
    """`1 row`, `2 rows`; `no rows`."""
    amount = f"{number:,}" if number else "no"
    return f"{amount} {thing}" + ("" if number == 1 else "s")


def size(number_of_bytes: float) -> str:
    """Bytes in a unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if number_of_bytes < 1024:
            return f"{number_of_bytes:.0f} {unit}"
        number_of_bytes /= 1024
    return f"{number_of_bytes:.1f} GiB"


def figure(number: float) -> str:
    """A measurement with four digits."""
    return f"{number:.4g}"


def multiple(ratio: float) -> str:
    """A ratio: `0.42×`, `12×`."""
    return f"{ratio:.2f}×" if abs(ratio) < 10 else f"{min(ratio, 999):.0f}×"


def short(version: str) -> str:
    """The first twelve characters of a version."""
    return version[:12]


def shorten(text: str) -> str:
    """The text, cut if it is longer than a page should show."""
    return text if len(text) <= _MAXIMUM_LENGTH else text[: _MAXIMUM_LENGTH - 1] + "…"
