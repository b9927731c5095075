"""The controller: one decision and at most one run per cause, for any channel, order and number of deliveries."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded
from services.retraining.runs.pipeline import Pipeline
from services.retraining.settings import RetrainingSettings
from services.retraining.triggers.webhooks import read_triggers
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict, cause_key
from tests.fakes.callers import ADMIN
from tests.fakes.retraining_app import RetrainingApp
from tests.fakes.retraining_installation import (
    LOOP,
    MODEL,
    START,
    Installation,
    loop_with,
    make_installation,
    package_poor_champion,
)
from tests.unit.services.retraining.triggers.test_webhooks import NOW, alert, alertmanager


class Setup:
    """A deployed model and the controller; runs are recorded and not executed."""

    def __init__(self, installation: Installation, *, listen: bool = True) -> None:
        self.installation = installation
        service = build(installation.settings, RetrainingSettings(listen=False, mlflow=False))
        self.deps = replace(service.deps, settings=RetrainingSettings(listen=listen))
        self.controller = Controller(self.deps, Pipeline(self.deps, Event()), lambda: None)
        self.controller.deploy(MODEL, installation.champion, str(installation.project), "ann")

    @property
    def ledger(self) -> Ledger:
        return self.deps.ledger

    def kafka(self, verdict: Verdict) -> Recorded:
        return self.controller.handle_cause(Cause.of_verdict(verdict))

    def webhook(self, *alerts: dict[str, Any]) -> list[Recorded]:
        causes, _ = read_triggers(alertmanager(*alerts), NOW, ADMIN)
        return [self.controller.handle_cause(cause) for cause in causes]

    def codes(self) -> dict[str, str]:
        return {one["cause_key"]: one["reason_code"] for one in self.ledger.decisions()}


def about(verdict: Verdict | str, *, model: str = MODEL, **changes: Any) -> dict[str, Any]:
    labels = {"alertname": "HomeostatDrift", "model": model}
    notes = {
        "summary": "it drifted",
        "verdict_id": verdict if isinstance(verdict, str) else verdict.verdict_id,
    }
    if not isinstance(verdict, str):
        notes |= {"version": verdict.version, "verdict_state": verdict.state}
    return alert(labels=labels, annotations=notes, **changes)


@pytest.fixture
def open_setup(tmp_path: Path) -> Iterator[Callable[..., Setup]]:
    setups: list[Setup] = []

    def open_one(*, listen: bool = True, **retraining: Any) -> Setup:
        setups.append(
            Setup(
                make_installation(tmp_path / f"w{len(setups)}", days=2, retraining=retraining), listen=listen
            )
        )
        return setups[-1]

    yield open_one
    for setup in setups:
        setup.ledger.close()


@pytest.mark.parametrize("alert_first", [False, True])
def test_verdict_and_its_alerts_are_one_run(open_setup: Callable[..., Setup], alert_first: bool) -> None:
    setup = open_setup()
    verdict = setup.installation.verdict(2)
    if alert_first:
        [early] = setup.webhook(about(verdict))
        assert (early.cause_key, early.decision.reason_code, early.run_id) == (
            verdict.verdict_id,
            "verdict_awaited",
            "",
        )
    decided = setup.kafka(verdict)
    assert (decided.decision.action, decided.decision.reason_code, decided.new) == ("retrain", "drift", True)
    # Also by another alert, from another Alertmanager, of another firing.
    again = [*setup.webhook(*(about(verdict, fingerprint=f"f{n}") for n in range(5))), setup.kafka(verdict)]
    assert {(one.cause_key, one.run_id, one.new) for one in again} == {
        (verdict.verdict_id, decided.run_id, False)
    }
    assert setup.codes() == {verdict.verdict_id: "drift"}
    assert [run.run_id for run in setup.ledger.runs()] == [decided.run_id]


def test_alerts_do_not_bypass_drift_windows(open_setup: Callable[..., Setup]) -> None:
    """And a verdict that came after its alert counts among the windows in a row."""
    setup = open_setup(triggers=[{"when": "drift", "kinds": ["performance"], "windows": 2}])
    first, second = setup.installation.verdict(1), setup.installation.verdict(2)
    setup.webhook(about(first))
    assert "drift in 1 of 2 windows" in setup.kafka(first).decision.reason
    setup.webhook(about(first), about(first, startsAt="2013-02-01T08:00:00Z"), about(second))
    assert setup.codes() == {first.verdict_id: "no_trigger", second.verdict_id: "verdict_awaited"}
    assert setup.ledger.runs() == []
    setup.kafka(second)
    [run] = setup.ledger.runs()
    assert (run.cause_key, run.change_since) == (second.verdict_id, first.window_start)


def test_one_change_found_by_both_detectors_of_inputs_has_one_run(open_setup: Callable[..., Setup]) -> None:
    """The alarm of the stream, then the verdict of the window it fell into, after the run was refused."""
    setup = open_setup(triggers=[{"when": "drift", "kinds": ["feature"]}])
    onset = START + timedelta(days=1, hours=9)
    alarm = setup.installation.verdict(
        1,
        detector="stream",
        drifted=("feature",),
        loss=None,
        window_start=onset,
        window_end=onset + timedelta(hours=1),
    )
    decided = setup.kafka(alarm)
    assert decided.decision.action == "retrain"
    for state in ("snapshotting", "training", "failed"):
        setup.ledger.transition(decided.run_id, state, NOW)
    window = setup.installation.verdict(2, detector="inputs", drifted=("feature",), loss=None)
    assert setup.kafka(window).decision.reason_code == "same_incident"
    lasting = setup.installation.verdict(3, detector="inputs", drifted=("feature",), loss=None)
    assert setup.kafka(lasting).decision.action == "retrain"


@pytest.mark.parametrize(
    ("policy", "reason_code"),
    [
        ({"cooldown": "9d"}, "cooling_down"),
        ({"cooldown": "1h", "budget": {"runs": 1, "per": "30d"}}, "budget_spent"),
    ],
)
@pytest.mark.parametrize("alert_first", [False, True])
def test_alerts_do_not_bypass_limits(
    open_setup: Callable[..., Setup], policy: dict[str, Any], reason_code: str, alert_first: bool
) -> None:
    setup = open_setup(**policy)
    asked = Cause("person", MODEL, "request", "please", event_time=START + timedelta(days=1))
    setup.ledger.transition(setup.controller.handle_cause(asked).run_id, "snapshotting", NOW)
    setup.ledger.transition("run-person", "training", NOW)
    setup.ledger.transition("run-person", "failed", NOW)
    verdict = setup.installation.verdict(2)
    if alert_first:
        setup.webhook(about(verdict))
    assert setup.kafka(verdict).decision.reason_code == reason_code
    for _ in range(5):
        [late] = setup.webhook(about(verdict))
        assert (late.decision.reason_code, late.run_id) == (reason_code, "")
    assert [run.run_id for run in setup.ledger.runs()] == ["run-person"]


def know(setup: Setup, model: str) -> None:
    """Record a project of another model, as its deployment does."""
    project = setup.ledger.project(MODEL)
    assert project is not None
    loop = project.loop.model_copy(update={"model": model})
    setup.ledger.record_project(model, "", loop, "", "ann", NOW)


def test_one_delivery_may_have_alerts_of_two_models(open_setup: Callable[..., Setup]) -> None:
    setup = open_setup()
    know(setup, "other")
    verdict = setup.installation.verdict(2)
    other = cause_key("other", "performance", verdict.version, verdict.window_end)
    setup.kafka(verdict)
    mine, theirs = setup.webhook(about(verdict), about(other, model="other"))
    assert (mine.cause_key, mine.new, theirs.cause_key, theirs.new) == (
        verdict.verdict_id,
        False,
        other,
        True,
    )
    assert {run.model for run in setup.ledger.runs()} == {MODEL}


def test_alert_with_verdict_of_another_model_does_nothing(
    open_setup: Callable[..., Setup],
) -> None:
    setup = open_setup()
    know(setup, "other")
    theirs = setup.installation.verdict(2, model="other")
    setup.kafka(theirs)
    [wrong] = setup.webhook(about(theirs))
    assert (wrong.decision.action, wrong.decision.reason_code) == ("wait", "verdict_unclear")
    assert wrong.cause_key != theirs.verdict_id
    found = setup.ledger.cause(theirs.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["model"], kept["deliveries"]) == ("other", 1)
    assert setup.ledger.runs() == []


@pytest.mark.parametrize("verdict", ["", "nothing", "A" * 32])
def test_alert_with_invalid_verdict_id_does_nothing(open_setup: Callable[..., Setup], verdict: str) -> None:
    setup = open_setup()
    [done] = setup.webhook(about(verdict))
    assert (done.decision.action, done.decision.reason_code, done.run_id) == ("wait", "verdict_unclear", "")


def test_resolved_alert_is_a_separate_cause(
    open_setup: Callable[..., Setup],
) -> None:
    setup = open_setup()
    verdict = setup.installation.verdict(2)
    [_, clear] = setup.webhook(about(verdict), about(verdict, status="resolved"))
    assert (clear.decision.reason_code, clear.cause_key == verdict.verdict_id) == ("resolved", False)
    assert setup.kafka(verdict).decision.action == "retrain"


def test_without_consumer_the_alert_decides(
    open_setup: Callable[..., Setup],
) -> None:
    setup = open_setup(listen=False)
    verdict = setup.installation.verdict(2)
    [done] = setup.webhook(about(verdict))
    assert (done.decision.action, done.decision.reason_code, done.cause_key) == (
        "retrain",
        "alert",
        verdict.verdict_id,
    )
    late = setup.kafka(verdict)
    assert (late.new, late.run_id) == (False, done.run_id)
    assert len(setup.ledger.runs()) == 1
    found = setup.ledger.cause(verdict.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["state"], kept["verdict"]["verdict_id"]) == ("drift", verdict.verdict_id)


def test_without_consumer_one_drift_gives_one_run(
    open_setup: Callable[..., Setup],
) -> None:
    """After a release drift still judges windows of the version before, each with an id of its own. Faults never retrain."""
    setup = open_setup(listen=False)
    before = setup.installation.verdict(2, version="c" * 64)
    fault = setup.installation.verdict(1, state="data_fault")
    assert [one.decision.reason_code for one in setup.webhook(about(before), about(fault))] == [
        "version_replaced",
        "bad_data",
    ]
    assert setup.ledger.runs() == []


def test_waiting_alert_decides_after_consumer_is_switched_off(
    open_setup: Callable[..., Setup],
) -> None:
    setup = open_setup()
    verdict = setup.installation.verdict(2)
    assert [one.decision.reason_code for one in setup.webhook(about(verdict), about(verdict))] == [
        "verdict_awaited"
    ] * 2
    deaf = replace(setup.deps, settings=RetrainingSettings(listen=False))
    setup.controller = Controller(deaf, Pipeline(deaf, Event()), lambda: None)
    [done] = setup.webhook(about(verdict))
    assert (done.decision.action, done.decision.reason_code, done.new) == ("retrain", "alert", True)


def test_announced_data_fault_never_retrains(open_setup: Callable[..., Setup]) -> None:
    setup = open_setup()
    verdict = setup.installation.verdict(2, state="data_fault")
    setup.webhook(about(verdict))
    assert setup.kafka(verdict).decision.reason_code == "bad_data"
    assert setup.ledger.faulty_windows(MODEL) == [(verdict.window_start, verdict.window_end)]
    assert setup.ledger.runs() == []


def test_observe_starts_no_run(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="observe")
    app.deploy()
    done = app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15)))
    assert (done.decision.action, done.decision.reason_code, done.run_id) == ("wait", "observe_only", "")
    assert app.get("/runs")["runs"] == []
    assert "would retrain: performance drift" in app.get("/decisions")["decisions"][0]["reason"]


def test_unknown_model_waits(app: RetrainingApp) -> None:
    answer = app.post("/triggers", {"model": "nothing", "reason": "please"}, 202)["causes"][0]
    assert (answer["action"], answer["reason_code"]) == ("wait", "no_project")
    assert app.get("/decisions")["decisions"] == [], "the ledger does not grow by names that anybody can send"
    assert app.get(f"/causes/{answer['cause_key']}/why", 404)["error"]


def test_cooldown_and_budget_limit_runs(open_app: Callable[..., RetrainingApp]) -> None:
    policy = {
        "command": ["python", "train.py", "worse"],
        "cooldown": "3d",
        "budget": {"runs": 2, "per": "30d"},
    }
    app = open_app(retraining=policy)
    app.deploy()
    handle = app.service.controller.handle_cause
    first = handle(Cause.of_verdict(app.installation.verdict(14)))
    app.wait_for_state(first.run_id, "refused")
    assert handle(Cause.of_verdict(app.installation.verdict(15))).decision.reason_code == "cooling_down"
    second = handle(Cause("person", MODEL, "request", "please", event_time=START + timedelta(days=15)))
    app.wait_for_state(second.run_id, "refused")
    third = Cause("person 2", MODEL, "request", "please", event_time=START + timedelta(days=15))
    assert handle(third).decision.reason_code == "budget_spent"


def test_event_time_comes_from_the_lake(app: RetrainingApp) -> None:
    app.deploy()
    run_id = app.request_run()["run_id"]
    assert app.get(f"/runs/{run_id}")["event_time"] == "2013-01-15T23:45:00+00:00"
    app.wait_for_state(run_id, "promoted")


def test_new_rows_are_counted_in_the_lake(open_app: Callable[..., RetrainingApp]) -> None:
    rows = 15 * 24 * 4
    app = open_app(retraining={"triggers": [{"when": "new_rows", "rows": rows + 1}]})
    app.deploy()
    done = app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15, state="ok")))
    assert f"new_rows ({rows} new rows with outcomes, required {rows + 1})" in done.decision.reason


def test_sync_releases_repairs_the_ledger(app: RetrainingApp) -> None:
    app.deploy()
    version = app.another_version(-0.6)
    app.installation.store.add_release(
        Release(
            model=MODEL, generation=2, version=version, reason="deployment", actor="ann", released_at=START
        )
    )
    assert app.service.deps.ledger.releases_of_version(version) == []
    app.service.controller.sync_releases()
    assert [entry["generation"] for entry in app.service.deps.ledger.releases_of_version(version)] == [2]


def test_unknown_models_make_no_series(open_setup: Callable[..., Setup]) -> None:
    setup = open_setup()
    before = set(setup.deps.metrics.decisions._metrics)
    for place in range(5):
        body = {"model": f"ghost-{place}", "reason": "try", "key": "same"}
        for _ in range(2):
            [cause], _ = read_triggers(body, NOW, ADMIN)
            assert setup.controller.handle_cause(cause).decision.reason_code == "no_project"
    registry = setup.deps.metrics.registry
    names = {sample.labels.get("model") for metric in registry.collect() for sample in metric.samples}
    assert not {name for name in names if name and name.startswith("ghost")}
    labels = {"model": "(unknown)", "action": "wait", "reason_code": "no_project"}
    assert registry.get_sample_value("homeostat_retraining_decisions_total", labels) == 10
    assert setup.deps.ledger.decisions("", 10) == []
    assert len(setup.deps.metrics.decisions._metrics) == len(before) + 1


def with_type_of_x(setup: Setup, kind: str) -> str:
    """A version whose feature x is of another type; nothing but its features differs from the champion."""
    installation = setup.installation
    features = [{**one, "type": kind} if one["name"] == "x" else one for one in LOOP["features"]]
    for one in features:
        if one["name"] == "x" and kind != "number":
            one.pop("nullable", None)
    spec = LoopSpec.model_validate(loop_with(features=features))
    return package_poor_champion(
        installation.project.parent, spec, installation.store, installation.keys, slope=-0.25
    )


SAID = (
    "feature x was of type number and is of type integer: the prediction log stores it in the column f_x$integer; earlier whole "
    "numbers are read as integer, and rows with other values are not used for training"
)


def test_deployment_says_what_becomes_of_a_type_that_the_lake_has(
    open_setup: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = open_setup()
    version = with_type_of_x(setup, "integer")
    monkeypatch.setattr(
        setup.deps.store, "live_release", lambda _: None
    )  # its release log is new, its lake is not
    assert setup.controller.deploy(MODEL, version, "", "ann", force="it is a test").notes == (SAID,)


def test_deployment_says_what_becomes_of_a_type_of_the_served_version(
    open_setup: Callable[..., Setup],
) -> None:
    setup = open_setup()
    version = with_type_of_x(setup, "integer")
    shutil.rmtree(Path(setup.deps.lake.predictions(MODEL)))  # its rows are still on their way
    done = setup.controller.deploy(MODEL, version, "", "ann", force="it is a test")
    assert (done.release.generation, done.new, done.notes) == (2, True, (SAID,))
    again = setup.controller.deploy(MODEL, version, "", "ann")
    assert (again.release.generation, again.new, again.notes) == (2, False, ())
