from __future__ import annotations

import pytest

from loadtests.bench_serving import _print_p99
from loadtests.contenders import BASE, OURS
from loadtests.measurement import Measurement


def cell(p99_ms: float) -> Measurement:
    return Measurement(answers=100, seconds=1.0, cpu_us=50.0, p50_ms=1.0, p99_ms=p99_ms, errors=0)


@pytest.mark.parametrize(("ours", "verdict"), [(3.0, "0.75"), (5.0, "1.25 (missed)")])
def test_p99_is_compared_round_by_round(
    ours: float, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {
        ("tab1 c=1", OURS): [cell(1.0), cell(2.0)],
        ("tab1 c=1", BASE): [cell(2.0), cell(4.0)],
        ("tab1 c=200", OURS): [cell(ours), cell(10 * ours), cell(ours)],
        ("tab1 c=200", BASE): [cell(4.0), cell(40.0), cell(1000.0)],
    }
    assert _print_p99(cells) is (ours < 4)
    assert capsys.readouterr().out == (
        f"bench-serving, p99 as a multiple of {BASE}'s (bar 1): tab1 c=1 0.50; tab1 c=200 {verdict}\n"
    )
