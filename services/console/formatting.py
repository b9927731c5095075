"""Numbers, durations and moments for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_SLACK_S = 5.0


def amount(seconds: float) -> str:
    """A duration in its largest whole unit: `42 s`, `3 min`, `5 h`, `12 d`."""
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    if seconds < -_SLACK_S:
        return f"{amount(-seconds)} ahead of this clock"
    return f"{amount(seconds)} ago"


def clock(moment: datetime | None) -> str:
    """A moment to the minute, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment is not None else "–"


def count(number: int, thing: str) -> str:
    """`1 row`, `2 rows`; `no rows`."""
    said = "no" if number == 0 else f"{number:,}"
    return f"{said} {thing}" + ("" if number == 1 else "s")


def size(amount_bytes: float) -> str:
    """Bytes in a unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if amount_bytes < 1024:
            return f"{amount_bytes:.0f} {unit}"
        amount_bytes /= 1024
    return f"{amount_bytes:.1f} GiB"


def figure(number: float | None) -> str:
    """A measurement with as many digits as help."""
    if number is None:
        return "–"
    return f"{number:.4g}"


def times(ratio: float | None) -> str:
    """A ratio: `0.42×`, `12×`."""
    if ratio is None:
        return "–"
    return f"{ratio:.2f}×" if abs(ratio) < 10 else f"{min(ratio, 999):.0f}×"


def short(version: str) -> str:
    """The first twelve characters, as everywhere."""
    return version[:12]
