"""Training failures, on the whole service with real training processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes.retraining_app import RetrainingApp
from tests.unit.shared.models.training.test_confinement import needs_namespace


def test_failed_training_keeps_its_log(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(retraining={"command": ["python", "train.py", "fail"]})
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed", "promoted")
    assert run["state"] == "failed"
    assert "exit code 3; its last lines:\nthe data looks odd" in run["reason"]
    assert (
        app.installation.home / "runs" / run["run_id"] / "attempts" / "1" / "train.log"
    ).read_text() == "the data looks odd\n"


@pytest.mark.parametrize(
    ("how", "state", "expected"),
    [
        ("hang", "failed", "exceeded its time limit of 3 s and was killed"),
        ("broken", "failed", "is not an ONNX model"),
        ("silent", "failed", "metrics.json cannot be read"),
        ("nan", "failed", "metrics.json is not valid JSON"),
        ("worse", "refused", "gain -"),
    ],
)
def test_bad_training_ends_the_run_only(
    open_app: Callable[..., RetrainingApp], how: str, state: str, expected: str
) -> None:
    app = open_app(
        retraining={"command": ["python", "train.py", how], "time_limit": "3s" if how == "hang" else "60s"}
    )
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed", "promoted", "refused")
    assert (run["state"], expected in run["reason"]) == (state, True), run["reason"]
    assert app.served() == [app.installation.champion]
    # The next cause starts a run again.
    assert app.request_run()["action"] == "retrain"


@needs_namespace
def test_confined_training_is_promoted_and_its_limits_hold(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(training={"network": "none", "memory_mib": 4096, "cpu_time": "60s"})
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed", "promoted", "refused")
    assert run["state"] == "promoted", run["reason"]


def test_training_beyond_its_memory_fails_with_what_to_do(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(
        retraining={"command": ["python", "-c", "bytearray(1 << 30)"]}, training={"memory_mib": 256}
    )
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed", "promoted", "refused")
    assert (run["state"], run["reason_code"]) == ("failed", "training")
    assert "needs more than its limit of 256 MiB of memory" in run["reason"]
    assert "training.memory_mib" in run["reason"]
