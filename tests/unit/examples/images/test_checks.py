"""What the example requires of its days."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from examples.images.checks import failed_limits


def _days(**changed: Any) -> pd.DataFrame:
    days = [
        {"day": day, "served": 0.9, "first": 0.9 if day < 8 else 0.5, "verdict": "ok"} for day in range(16)
    ]
    days[8]["verdict"], days[14]["verdict"] = "drift", "data_fault"
    for place, values in changed.items():
        days[int(place.removeprefix("day_"))] |= values
    return pd.DataFrame(days)


def test_days_as_expected_pass() -> None:
    assert failed_limits(_days(), [{"event_time": "2026-03-11T00:00:00+00:00"}]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"day_1": {"verdict": "drift"}, "day_2": {"verdict": "drift"}},
            "2 alarms while the camera was as installed",
        ),
        ({"day_8": {"verdict": "ok"}}, "the day the lamp faded was judged 'ok'"),
        ({"day_13": {"served": 0.55}}, "expected at least +10%"),
        ({"day_14": {"verdict": "drift"}}, "the day of the new driver was judged 'drift'"),
    ],
)
def test_days_that_show_less_are_named(changed: dict[str, Any], said: str) -> None:
    (found,) = failed_limits(_days(**changed), [])
    assert said in found


def test_a_run_on_broken_data_is_named() -> None:
    (found,) = failed_limits(_days(), [{"event_time": "2026-03-17T00:00:00+00:00"}])
    assert "1 runs were started by the new driver's numbers" in found
