"""Numbers, durations and times as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.console.formatting import age, count, duration, figure, iso, multiple, shorten, size, window

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_durations_are_in_their_largest_unit() -> None:
    found = [duration(seconds) for seconds in (-3, 0, 59.4, 60, 3600, 86400 * 3)]
    assert found == ["0 s", "0 s", "59 s", "1 min", "1 h", "3 d"]


def test_ages_allow_for_clocks_that_differ() -> None:
    assert age(NOW + timedelta(seconds=3), NOW) == "0 s ago"
    assert age(NOW + timedelta(minutes=3), NOW) == "3 min ahead of this clock"


def test_a_window_within_a_day_has_one_date() -> None:
    assert window(NOW, NOW + timedelta(hours=6)) == "2026-03-01 00:00 – 06:00"
    assert window(NOW, NOW + timedelta(days=1)) == "2026-03-01 00:00 – 2026-03-02 00:00"
    assert iso(NOW) == "2026-03-01T00:00:00Z"


def test_numbers() -> None:
    assert (count(0, "row"), count(1, "row"), count(1234, "row")) == ("no rows", "1 row", "1,234 rows")
    assert (size(10), size(2048), size(3 << 30)) == ("10 B", "2 KiB", "3.0 GiB")
    assert figure(0.123456) == "0.1235"
    assert (multiple(0.424), multiple(12.3), multiple(1e9)) == ("0.42×", "12×", "999×")


def test_long_text_is_shortened() -> None:
    assert shorten("x" * 1000) == "x" * 399 + "…"
    assert shorten("x" * 400) == "x" * 400
