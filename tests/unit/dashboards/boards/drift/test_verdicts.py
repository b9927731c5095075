"""The word for a model's last verdict, asked of a real Prometheus' own query engine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.boards.drift.verdicts import STATE_NUMBERS, state
from tests.observability import program

NUMBERS = {word: number for number, (word, _) in STATE_NUMBERS.items()}


@pytest.mark.parametrize("word", NUMBERS)
@pytest.mark.parametrize("instances", [1, 2, 3])
def test_several_drifts_that_agree_say_the_one_word(tmp_path: Path, word: str, instances: int) -> None:
    target: Any
    [target] = state().build().targets or []
    series = [
        {
            "series": "homeostat_drift_detector_state"
            f'{{job="drift",instance="d{place}",model="m",detector="inputs",state="{each}"}}',
            "values": str(int(each == word)),
        }
        for place in range(instances)
        for each in NUMBERS
    ]
    asked = {
        "expr": target.expr.replace("$model", "m"),
        "eval_time": "0m",
        "exp_samples": [{"labels": '{detector="inputs", model="m"}', "value": NUMBERS[word]}],
    }
    path = tmp_path / "state.yml"
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": [asked]}]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
