"""Training failures, on the whole service with real training processes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services.retraining.bootstrap import build
from tests.fakes import bad_models
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import make_installation
from tests.unit.shared.models.training.test_confinement import needs_namespace, needs_root


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


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            bad_models.crashing_at_load(),
            "loading the trained model crashed: the isolated process was ended by SIGFPE",
        ),
        (
            bytes(80 << 20),
            "the trained model needed more than 64 MiB of memory while it was scored for its reference rows",
        ),
    ],
)
def test_model_that_would_end_the_service_ends_the_run_only(
    open_app: Callable[..., RetrainingApp], monkeypatch: pytest.MonkeyPatch, model: bytes, expected: str
) -> None:
    monkeypatch.setattr(
        "tests.unit.services.retraining.conftest.SETTINGS",
        SETTINGS.model_copy(update={"model_memory_bytes": 64 << 20}),
    )
    copy = "cp trained.onnx $HOMEOSTAT_OUT/model.onnx && echo '{}' > $HOMEOSTAT_OUT/metrics.json"
    app = open_app(isolated=True, retraining={"command": ["sh", "-c", copy]})
    (app.installation.project / "trained.onnx").write_bytes(model)
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed", "promoted", "refused")
    assert (run["state"], run["reason_code"]) == ("failed", "model")
    assert run["reason"].startswith(expected)
    assert app.request_run()["action"] == "retrain", "the service lives"


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


COPY = """
id -un > $HOMEOSTAT_OUT/who
cat ../home/keys/signing.pem ../home/evaluations/*/holdout.parquet && exit 9
cp $HOMEOSTAT_CHAMPION/model.onnx $HOMEOSTAT_OUT/ && echo '{"loss": 0.5}' > $HOMEOSTAT_OUT/metrics.json
"""


@needs_root
def test_run_of_another_user_reaches_the_gate_without_keys_and_holdout() -> None:
    """In a folder that this user can enter: those of pytest belong to their user alone."""
    place, before = Path(tempfile.mkdtemp(prefix="homeostat-test-")), os.umask(0o077)
    try:
        place.chmod(0o711)
        (place / "installation").mkdir(mode=0o711)
        (place / "installation").chmod(0o711)
        installation = make_installation(
            place / "installation" / "w", days=15, retraining={"command": ["sh", "-c", COPY]}
        )
        for folder in (installation.project.parent, installation.project):
            folder.chmod(0o755)
        settings = SETTINGS.model_copy(update={"training_user": "nobody"})
        service = build(installation.settings, settings, open_model=open_in_process)
        client = TestClient(
            service.app,
            base_url="http://127.0.0.1:8003",
            headers=installation.headers,
            raise_server_exceptions=False,
        )
        with client:
            app = RetrainingApp(installation, service, client)
            app.deploy()
            run = app.wait_for_state(app.request_run()["run_id"], "refused", "failed", "promoted")
        assert (run["state"], run["reason_code"]) == ("refused", "gate"), run["reason"]
        attempt = installation.home / "runs" / run["run_id"] / "attempts" / "1"
        assert (attempt / "out" / "who").read_text() == "nobody\n"
        assert (attempt / "train.log").read_text().count("Permission denied") == 2
    finally:
        os.umask(before)
        shutil.rmtree(place)
