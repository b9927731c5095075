"""`homeostat run show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

RUN = "run-0123456789abcdef01234567"
STEPS = [
    {
        "step": "snapshot",
        "state": "done",
        "seconds": 1.25,
        "inputs": {
            "predictions": 7,
            "faulty": [[f"2026-02-0{day}", f"2026-02-0{day + 1}"] for day in range(1, 6)],
        },
        "outputs": {"digest": "d" * 64, "train_rows": 900},
        "log": [],
    },
    {
        "step": "train",
        "state": "failed",
        "seconds": 2.0,
        "inputs": {"snapshot": "d" * 64, "command": ["python", "train.py"]},
        "outputs": {"metrics": {"loss": 0.25}},
        "log": ["Traceback", "ValueError: [odd] rows"],
    },
]
FOUND = {"run_id": RUN, "model": "flights", "state": "failed", "reason": "training failed", "steps": STEPS}


@pytest.fixture
def options(service: FakeService, tmp_path: Path) -> list[str]:
    service.answers[f"GET /runs/{RUN}/steps"] = (200, FOUND)
    return ["--retraining-url", service.url, "--home", str(tmp_path)]


def test_steps_are_shown_with_digests_and_log(options: list[str]) -> None:
    shown = run("run", "show", RUN, *options)
    assert shown.exit_code == 0
    assert f"{RUN} of flights: failed, training failed" in shown.stdout
    for text in (
        f"digest {'d' * 64}",
        "faulty (5) 2026-02-01 to 2026-02-02, 2026-02-02 to 2026-02-03, 2026-02-03 to 2026-02-04, and 2 more",
        "command python train.py",
        "metrics.loss 0.25",
        "ValueError: [odd] rows",
    ):
        assert text in shown.stdout
    assert f"homeostat why {RUN}" in shown.stdout
    found = run("run", "show", RUN, *options, "--json")
    assert json.loads(found.stdout) == FOUND


def test_one_step_has_more_lines_of_its_log(service: FakeService, options: list[str]) -> None:
    found = run("run", "show", RUN, "--step", "train", *options, "--json")
    assert [step["step"] for step in json.loads(found.stdout)["steps"]] == ["train"]
    assert service.asked[-1][0] == f"GET /runs/{RUN}/steps?log_lines=200"
    refused = run("run", "show", RUN, "--step", "gate", *options)
    assert refused.exit_code != 0
    assert "it has snapshot, train" in refused.stderr


def test_unknown_run_is_answered_with_the_newest_ones(service: FakeService, options: list[str]) -> None:
    service.answers["GET /runs/run-1/steps"] = (
        404,
        {"error": "there is no run run-1", "hint": "GET /runs lists them"},
    )
    service.answers["GET /runs"] = (200, {"runs": [{"run_id": RUN}]})
    refused = run("run", "show", "run-1", *options)
    assert f"newest runs: {RUN}" in refused.stderr.replace("\n", " ")
