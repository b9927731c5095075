from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.contracts.duration import Duration

DURATION: TypeAdapter[Any] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("90m", 5400),
        ("1.5h", 5400),
        ("7d", 604800),
        (" 7 d ", 604800),
        ("0d", 0),
        ("0.25s", 0.25),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["7", "d", "", "7w", "-1d", "1d2h", "P7D", "1e3s", "7 days", 7, 7.5, True, None]
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValidationError, match="such as 90m or 7d"):
        DURATION.validate_python(text)


def test_a_duration_beyond_a_lifetime_is_refused_and_does_not_overflow() -> None:
    with pytest.raises(ValidationError, match="at most 36500d"):
        DURATION.validate_python("99999999999999d")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=14), "14d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=1234567), "1234567s"),
        (timedelta(seconds=0.5), "0.5s"),
        (timedelta(0), "0s"),
    ],
)
def test_a_duration_is_written_in_its_greatest_whole_unit(duration: timedelta, text: str) -> None:
    assert DURATION.dump_python(duration, mode="json") == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36500)))
def test_every_duration_is_read_as_it_was_written(duration: timedelta) -> None:
    assert DURATION.validate_python(DURATION.dump_python(duration, mode="json")) == duration
