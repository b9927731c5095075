from __future__ import annotations

from typing import Any

from cli.drift.replay_view import alarms_table, sentences


def alarm(at: str, **more: Any) -> dict[str, Any]:
    fields = {
        "known_at": at,
        "detector": "inputs",
        "state": "drift",
        "drifted": ["feature"],
        "features": ["x"],
        "slices": [],
        "generation": 1,
        "explanation": "because [x]",
    }
    return fields | more


def found(**more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": "toy",
        "windows": 3,
        "rows": 300,
        "alarms": [],
        "false_alarms": {
            "per_30_days": 1.0,
            "days": 3.0,
            "expected_at_most": 0.1,
            "alarms_before_change": 2,
        },
        "delay": None,
        "skipped": [],
        "plot": None,
    }
    return fields | more


def test_alarms_that_say_the_same_are_one_line() -> None:
    days = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)]
    table = alarms_table(
        [
            alarm(days[0]),
            alarm(days[1], detector="stream"),
            alarm(days[2]),
            alarm(days[3], features=["y"]),
            alarm(days[4]),
        ]
    )
    assert table.row_count == 4
    [why] = [list(column.cells) for column in table.columns if column.header == "why"]
    assert "1 more of the same until 2026-01-03 00:00" in str(why[0])


def test_the_sentences_say_what_to_expect_and_what_was_missed() -> None:
    delay: dict[str, Any] = {"change_at": "2026-01-02T00:00:00Z", "seconds": None, "rows": None, "of": {}}
    lines = sentences(found(delay=delay, skipped=["generation 1: other features"]))
    assert lines == [
        "toy: 3 windows with 300 rows, 0 alarms.",
        "Without any change, at most 0.1 false alarms are to be expected in these 3 days (budget: 1 in 30 days).",
        "The change at 2026-01-02 00:00 was not found; 2 alarms before it.",
        "Not replayed: generation 1: other features.",
    ]
    seen = delay | {"seconds": 7200.0, "rows": 9, "of": {"stream": 7200.0, "performance": 864000.0}}
    assert sentences(found(delay=seen))[2] == (
        "The change at 2026-01-02 00:00 was found after 2.0 h (stream 2.0 h, performance 10.0 days) and 9 rows; "
        "2 alarms before it."
    )
