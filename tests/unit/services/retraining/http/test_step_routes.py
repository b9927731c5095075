"""GET /runs/{run_id}/steps."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.retraining_app import RetrainingApp


def test_failed_training_shows_its_log(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(retraining={"command": ["python", "train.py", "fail"]})
    app.deploy()
    run_id = app.request_run()["run_id"]
    app.wait_for_state(run_id, "failed")
    found = app.get(f"/runs/{run_id}/steps")
    assert (found["run_id"], found["state"], found["cause_reason"]) == (run_id, "failed", "please")
    train = found["steps"][1]
    assert (train["step"], train["state"], train["log"]) == ("train", "failed", ["the data looks odd"])
    assert train["inputs"]["snapshot"] == found["steps"][0]["outputs"]["digest"]
    assert app.get(f"/runs/{run_id}/steps?log_lines=0")["steps"][1]["log"] == []
    app.get("/runs/run-unknown/steps", 404)
