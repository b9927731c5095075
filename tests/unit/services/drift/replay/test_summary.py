from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.drift.replay.plot import page_of, svg_of
from services.drift.replay.summary import Summary
from shared.contracts.verdict import Score, State, Verdict
from tests.unit.services.drift.world import minutes


def verdict(number: int, state: State, detector: Any = "inputs", **more: Any) -> Verdict:
    """On the hour `number`."""
    fields: dict[str, Any] = {
        "verdict_id": f"{number:032d}",
        "model": "toy",
        "version": "v1",
        "generation": 1,
        "detector": detector,
        "window_start": minutes(60 * number),
        "window_end": minutes(60 * number + 60),
        "rows": 100,
        "outcomes": 0,
        "state": state,
        "reached_at": minutes(0),
    }
    return Verdict(**{**fields, **more})


def summary(*verdicts: Verdict, change: float | None = None, stream: bool = False) -> dict[str, Any]:
    change_at = None if change is None else minutes(change)
    delays = {"v1": timedelta(minutes=30)}
    return Summary("toy", verdicts, delays, 1.0, stream, change_at, rows_between=lambda *_: 7).document()


def test_a_change_is_found_by_the_first_alarm_about_a_window_after_it() -> None:
    found = summary(
        verdict(0, "drift"),
        verdict(1, "ok"),
        verdict(2, "drift", "performance"),
        verdict(2, "drift", top_drifted_features=("x",)),
        verdict(3, "drift"),
        change=130,
    )
    assert [alarm["known_at"] for alarm in found["alarms"]] == [
        minutes(60),
        minutes(180),
        minutes(210),
        minutes(240),
    ]
    assert found["delay"] == {
        "change_at": minutes(130),
        "seconds": 50 * 60,
        "rows": 7,
        "of": {"inputs": 50 * 60, "performance": 80 * 60},
    }
    assert found["false_alarms"]["alarms_before_change"] == 1


def test_a_change_that_was_not_found_has_no_delay() -> None:
    found = summary(verdict(0, "ok"), change=10)
    assert found["delay"] == {"change_at": minutes(10), "seconds": None, "rows": None, "of": {}}
    assert summary(verdict(0, "ok"))["delay"] is None


def test_a_performance_verdict_that_repeats_a_data_fault_is_no_alarm() -> None:
    found = summary(verdict(0, "data_fault"), verdict(0, "data_fault", "performance"))
    assert [alarm["detector"] for alarm in found["alarms"]] == ["inputs"]


@pytest.mark.parametrize(("stream", "expected"), [(True, 0.95), (False, 0.75)])
def test_a_month_of_windows_may_have_the_false_alarms_of_the_budget(stream: bool, expected: float) -> None:
    """A twentieth is for the evidence of realised losses over windows, which a replay does not add up."""
    month = [
        verdict(hour, "ok", detector) for hour in range(30 * 24) for detector in ("inputs", "performance")
    ]
    false = summary(*month, stream=stream)["false_alarms"]
    assert false["expected_at_most"] == pytest.approx(expected)
    assert false["days"] == 30
    # Windows without a judgement can raise no alarm.
    assert summary(verdict(0, "insufficient_data"))["false_alarms"]["expected_at_most"] == 0


def test_the_plot_marks_alarms_and_escapes_what_comes_from_data() -> None:
    score = Score(signal="feature", feature="x", method="psi", value=9.0, threshold=3.0, exceeded=True)
    loss = Score(signal="performance", method="log_loss", value=0.5, threshold=0.6, exceeded=False)
    verdicts = [
        verdict(0, "ok", scores=(score,)),
        verdict(0, "ok", "performance", scores=(loss,), loss=0.5, reference_loss=0.4),
        verdict(1, "drift", scores=(score,), explanation="<script>x</script>"),
    ]
    drawn = svg_of("toy", verdicts, minutes(70))
    assert drawn.count('class="alarm"') == 1
    assert "<title>change</title>" in drawn
    page = page_of("a <b>", verdicts)
    assert "<script>" not in page
    assert "a &lt;b&gt;" in page
    assert svg_of("toy", []).startswith("<svg")
