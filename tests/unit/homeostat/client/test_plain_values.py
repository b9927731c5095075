from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from homeostat.client.plain_values import plain, time_text
from shared.errors import InvalidRequest


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("NaN")]
)
def test_missing_values_are_none(missing: Any) -> None:
    assert plain(missing) is None


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (Decimal("0.5"), 0.5),
        (np.array([1, 2]), [1, 2]),
    ],
)
def test_scalars_and_arrays_become_python_values(given: Any, sent: Any) -> None:
    assert plain(given) == sent
    assert type(plain(given)) is type(sent)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, None),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000000+00:00"),
        (datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=-5))), "2026-03-01T00:00:00.000000-05:00"),
        (pd.Timestamp("2026-03-01T12:00:00.123456789Z"), "2026-03-01T12:00:00.123456+00:00"),
    ],
)
def test_times_have_an_offset(given: Any, text: str | None) -> None:
    assert time_text(given, field="event_time") == text


@pytest.mark.parametrize(
    "given",
    [datetime(2026, 3, 1), "2026-03-01T12:00:00", "today", pd.NaT, 1740000000, np.datetime64("2026-03-01")],
)
def test_times_without_an_offset_are_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="`event_time` is ") as refused:
        time_text(given, field="event_time")
    assert "offset" in refused.value.expected
