"""Samples of Prometheus text."""

from __future__ import annotations

import pytest

from services.console.aggregation.prometheus_samples import (
    LAKE_ROW_AT,
    PREDICTED_AT,
    SINK_DEAD_LETTERS,
    SINK_LAG,
    Samples,
)


def test_only_finite_samples_that_are_shown_are_read() -> None:
    samples = Samples.parse(
        f"# HELP {SINK_DEAD_LETTERS} Records.\n# TYPE {SINK_DEAD_LETTERS} counter\n{SINK_DEAD_LETTERS} 3.0\n"
        f'{LAKE_ROW_AT}{{model="x",kind="y \\"z\\" \\\\n \\n"}} 4e-1\n{LAKE_ROW_AT}{{model="w"}} 2 1700000000000\n'
        f"process_cpu_seconds_total nonsense\n{SINK_LAG} NaN\n".encode()
    )
    assert samples.value(SINK_DEAD_LETTERS) == 3.0
    assert samples.value(LAKE_ROW_AT, model="x", kind='y "z" \\n \n') == 0.4
    assert samples.value(LAKE_ROW_AT, model="w") == 2.0
    assert samples.total(LAKE_ROW_AT) == pytest.approx(2.4)
    assert (samples.value(LAKE_ROW_AT, model="v"), samples.value(PREDICTED_AT)) == (None, None)
    assert samples.total(SINK_LAG) is None


@pytest.mark.parametrize("line", ['{topic="a" 7', " nonsense", "{topic} 7"])
def test_a_line_that_cannot_be_parsed_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the parser has messages of its own
        Samples.parse(f"{SINK_LAG}{line}\n".encode())
