"""Runs that nobody approves in time are found and ended, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from services.retraining.approvals.expiry_clock import ExpiryClock
from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.ledger.records import Project
from services.retraining.policy.decision import Decision
from services.retraining.settings import RetrainingSettings
from shared.contracts.loop_spec import LoopSpec
from shared.settings import HomeostatSettings
from tests.fakes.retraining_installation import MODEL, START, loop_with

SUGGEST = Decision("suggest", "drift", "performance drift", START)


def test_expired_run_ends_once_and_is_counted(tmp_path: Path) -> None:
    settings = RetrainingSettings(listen=False, mlflow=False)
    deps = build(HomeostatSettings(home=tmp_path, kafka="127.0.0.1:1"), settings).deps
    loop = LoopSpec.model_validate(loop_with(retraining={"approval_timeout": "2d"}))
    for key in ("k1", "k2"):
        deps.ledger.record_cause(
            Cause(key, MODEL, "verdict", "drift", event_time=START),
            version="v1",
            event_time=START,
            now=START,
            owner=Project(MODEL, "/project", loop, "v1"),
            decide=lambda *_: SUGGEST,
        )
    deps.ledger.answer("run-k2", answer="no", actor="ann", now=START)
    late = START + timedelta(days=2)
    early = ExpiryClock(replace(deps, clock=lambda: late - timedelta(seconds=1)))
    assert early.expired() == []
    early.look("run-k1")
    clock = ExpiryClock(replace(deps, clock=lambda: late))
    assert clock.expired() == ["run-k1"]
    for _ in range(2):
        clock.look("run-k1")
    assert clock.expired() == []
    ended = deps.ledger.run("run-k1")
    assert (ended.state, ended.reason) == ("refused", "nobody approved its start within 2d")
    assert deps.metrics.runs.labels(MODEL, "refused")._value.get() == 1
    deps.ledger.close()
