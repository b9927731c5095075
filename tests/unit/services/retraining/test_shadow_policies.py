"""Shadow policies: decided beside the armed one on every cause, once, and nothing is started for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.retraining.cause import Cause, Source
from services.retraining.histories import Histories
from services.retraining.ledger.engine import reading
from services.retraining.ledger.tables import shadow_decision
from services.retraining.ledger.verdict_log import VerdictLog
from services.retraining.ledger.watches import Watch
from services.retraining.shadow_policies import ShadowPolicies
from services.retraining.watch.blocks import Block
from tests.fakes.retraining_installation import MODEL, START, make_installation
from tests.unit.services.retraining.test_controller import Setup

DAILY = {"name": "daily", "retraining": {"triggers": [{"when": "schedule", "every": "1d"}]}}
NEVER = {"name": "never", "retraining": {"triggers": []}}


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """The armed policy retrains at drift of the performance."""
    made = Setup(
        make_installation(
            tmp_path, days=2, shadow_policies=[DAILY, NEVER], costs={"training": 5, "loss": 0.01}
        )
    )
    yield made
    made.ledger.close()


def decided(setup: Setup) -> list[tuple[str, str, str]]:
    query = select(shadow_decision).order_by(shadow_decision.c.id)
    with reading(setup.ledger._engine) as connection:
        return [(row.policy, row.action, row.reason_code) for row in connection.execute(query)]


def test_each_verdict_is_decided_once_per_policy_and_starts_nothing(setup: Setup) -> None:
    ok = setup.installation.verdict(2, state="ok")
    for _ in range(3):  # delivered again
        assert setup.kafka(ok).decision.action == "wait"
    assert decided(setup) == [("daily", "retrain", "schedule"), ("never", "wait", "healthy")]
    assert not setup.ledger.working_runs()
    drift = setup.installation.verdict(3)
    assert setup.kafka(drift).decision.action == "retrain"
    assert decided(setup)[2:] == [("daily", "retrain", "schedule"), ("never", "wait", "no_trigger")]
    assert len(setup.ledger.working_runs()) == 1, "the run of the armed policy"


def test_own_runs_are_the_history_of_a_shadow_policy(setup: Setup) -> None:
    for day, expected in ((2, "retrain"), (2.5, "wait"), (3, "retrain")):
        end = START + timedelta(days=day)
        verdict = setup.installation.verdict(
            2, state="ok", window_start=end - timedelta(hours=6), window_end=end
        )
        setup.kafka(verdict.model_copy(update={"verdict_id": f"{int(day * 10):032x}"}))
        assert [action for policy, action, _ in decided(setup) if policy == "daily"][-1] == expected
    digest = next(row.policy_digest for row in _rows(setup) if row.policy == "daily")
    past = setup.ledger.shadow_decisions.past(MODEL, "daily", digest)
    assert [run.event_time for run in past.runs] == [START + timedelta(days=2), START + timedelta(days=3)]
    assert (past.decisions, past.since) == (3, START + timedelta(days=2))
    assert setup.ledger.shadow_decisions.past(MODEL, "daily", "another digest").decisions == 0


@pytest.mark.parametrize("source", ["request", "alert"])
def test_what_concerns_one_run_is_decided_by_no_shadow_policy(setup: Setup, source: Source) -> None:
    """A person asks for one run, and an alert only announces a verdict, whatever the policy is."""
    cause = Cause(f"{1:032x}", MODEL, source, "asked for", "anna")
    setup.controller.handle_cause(cause)
    assert decided(setup) == []
    setup.controller.handle_cause(replace(cause, key=f"{2:032x}", source="schedule"))
    assert [policy for policy, _, _ in decided(setup)] == ["daily", "never"]


def test_faulty_data_holds_schedules_of_shadow_policies(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is found after the clock has looked, and before its cause is decided."""
    monkeypatch.setattr(VerdictLog, "newest_is_faulty", lambda *_: True)
    done = setup.controller.handle_cause(Cause(f"{1:032x}", MODEL, "schedule", "due", "clock"))
    assert done.decision.reason_code == "bad_data"
    assert decided(setup) == [("daily", "wait", "bad_data"), ("never", "wait", "bad_data")]


def test_unknown_error_of_a_shadow_policy_stops_nothing(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("services.retraining.shadow_policies.decide", fail)
    assert setup.kafka(setup.installation.verdict(2)).decision.action == "retrain"
    assert decided(setup) == []


def test_costs_count_trainings_and_measured_losses(setup: Setup) -> None:
    shadows = ShadowPolicies(setup.deps, Histories(setup.deps))
    assert shadows.costs_by_model() == {}, "not all of them have decided yet"
    setup.kafka(setup.installation.verdict(2, state="ok"))
    done = setup.kafka(setup.installation.verdict(3))
    end = START + timedelta(days=3)
    watch = Watch(
        MODEL, 2, "b" * 64, setup.installation.champion, 1, "promotion", done.run_id, "log_loss", 0.0, began_at=end,
        rows_from=end, rows_until=end + timedelta(days=7),
    )  # fmt: skip
    setup.ledger.watches.begin(watch)
    setup.ledger.watches.add_blocks(watch, [Block(end, end + timedelta(hours=6), 1000, 0.5, 0.7)])
    [armed, daily, never] = shadows.costs_by_model()[MODEL]
    assert [(one.policy, one.runs, one.measured_rows) for one in (armed, daily, never)] == [
        ("armed", 1, 1000),
        ("daily", 2, 1000),
        ("never", 0, 1000),
    ]
    # A training costs 5, and a row 0.01 for each unit of loss: without the run, 2 more for the thousand rows.
    assert [round(one.total, 6) for one in (armed, daily, never)] == [10.0, 15.0, 7.0]
    assert [round(one.regret, 6) for one in (armed, daily, never)] == [3.0, 8.0, 0.0]


def _rows(setup: Setup) -> list[Any]:
    with reading(setup.ledger._engine) as connection:
        return list(connection.execute(select(shadow_decision).order_by(shadow_decision.c.id)))
