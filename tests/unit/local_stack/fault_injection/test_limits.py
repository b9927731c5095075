"""Fault injection reaches this machine only, and ends."""

from __future__ import annotations

import pytest

from local_stack.fault_injection.limits import MAX_DURATION_S, duration_for, parse_duration, require_loopback
from shared.errors import CallerError


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("2m", 120), ("0.5s", 0.5), ("10m", 600)]
)
def test_valid_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "601", "11m", "1h", "soon", ""])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(CallerError) as refused:
        parse_duration(text)
    assert "--for 30s" in refused.value.hint


@pytest.mark.parametrize("rows", [1, 400, 6000, 8000, 120_000])
def test_duration_has_a_margin(rows: int) -> None:
    assert max(30.0, rows / 200.0) <= duration_for(rows, 200.0) <= MAX_DURATION_S


def test_too_long_duration_is_refused() -> None:
    with pytest.raises(CallerError, match="200000 rows at 200 per second take longer") as refused:
        duration_for(200_000, 200.0)
    assert "--rate 334" in refused.value.hint
    assert duration_for(200_000, 334.0) <= MAX_DURATION_S


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_loopback_address_is_accepted(url: str) -> None:
    require_loopback("inference", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7:8000",
        "https://models.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:8000",
        "x",
    ],
)
def test_other_address_is_refused(url: str) -> None:
    with pytest.raises(CallerError, match="not on this machine"):
        require_loopback("inference", url)
