"""The policy: every decision has a reason, and the limits always apply."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.retraining.cause import UNCLEAR, Cause
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import Decision, History, PastRun, PastVerdict
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.verdict import Detector, State, Verdict, cause_key
from tests.fakes.retraining_installation import MODEL, START, loop_with

VERSION = "a" * 64
PERFORMANCE = {"when": "drift", "kinds": ["performance"]}


def spec_with(automation: str = "auto", **retraining: Any) -> LoopSpec:
    return LoopSpec.model_validate(loop_with(automation=automation, retraining=retraining))


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def verdict(
    day: float, state: str = "drift", drifted: tuple[str, ...] = ("performance",), **more: Any
) -> Verdict:
    values = {
        "model": MODEL,
        "version": VERSION,
        "generation": 1,
        "detector": "performance",
        "window_start": at(day - 1),
        "window_end": at(day),
        "rows": 100,
        "outcomes": 90,
        "state": state,
        "drifted": drifted if state == "drift" else (),
        "loss": 0.5,
        "explanation": "the loss rose",
        "reached_at": START,
        **more,
    }
    key = cause_key(values["model"], values["detector"], values["version"], values["window_end"])
    return Verdict.model_validate({"verdict_id": key, **values})


def past(
    day: float,
    state: State = "drift",
    drifted: tuple[str, ...] = ("performance",),
    detector: Detector = "performance",
) -> PastVerdict:
    return PastVerdict(at(day - 1), at(day), state, drifted if state == "drift" else (), detector)


def ran(day: float, **more: Any) -> PastRun:
    return PastRun(f"run-{day}", at(day), **{"open": False, **more})


def ask(received: Verdict | Cause, spec: LoopSpec, **past_values: Any) -> Decision:
    cause = received if isinstance(received, Cause) else Cause.of_verdict(received)
    history = History(**{"version": VERSION, "trained_at": at(0), **past_values})
    return decide(cause, spec, history, cause.event_time or at(10))


def test_drift_of_a_trigger_kind_retrains() -> None:
    assert ask(verdict(10), spec_with()) == Decision(
        "retrain", "drift", "performance drift: the loss rose", at(9)
    )


@pytest.mark.parametrize(
    ("state", "reason_code"),
    [("data_fault", "bad_data"), ("insufficient_data", "insufficient_data"), ("warming_up", "warming_up")],
)
def test_bad_data_never_retrains(state: str, reason_code: str) -> None:
    triggers = [
        PERFORMANCE,
        {"when": "floor"},
        {"when": "schedule", "every": "1d"},
        {"when": "new_rows", "rows": 1},
    ]
    spec = spec_with(triggers=triggers)
    # Even a verdict that contradicts itself, with drift listed and a loss above the floor.
    received = verdict(10, state).model_copy(update={"drifted": ("performance", "feature"), "loss": 9.0})
    decision = ask(received, spec, rows_since=10**6)
    assert (decision.action, decision.reason_code) == ("wait", reason_code)
    assert "the loss rose" in decision.reason


def test_drift_of_another_kind_waits() -> None:
    decision = ask(verdict(10, drifted=("feature",)), spec_with())
    assert (decision.action, decision.reason_code) == ("wait", "no_trigger")
    assert decision.reason == (
        "drift of feature, but no trigger of loop.yaml fired: drift (the drift is of kind feature, not performance)"
    )


@pytest.mark.parametrize("detector", ["inputs", "stream"])
def test_inputs_fire_drift_triggers_alone(detector: str) -> None:
    """The other triggers are evaluated once per window, with the verdict on performance."""
    others = [{"when": "floor"}, {"when": "schedule", "every": "1d"}, {"when": "new_rows", "rows": 1}]
    received = verdict(10, "ok", detector=detector, loss=None)
    decision = ask(received, spec_with(triggers=others), rows_since=10)
    assert (decision.action, decision.reason_code) == ("wait", "healthy")
    assert decision.reason.count("evaluated when the outcomes of the window are due") == 3
    features = {"when": "drift", "kinds": ["feature"]}
    drifted = verdict(10, drifted=("feature",), detector=detector, loss=None)
    assert ask(drifted, spec_with(triggers=[*others, features])).action == "retrain"
    assert ask(verdict(10, "ok"), spec_with(triggers=others), rows_since=10).action == "retrain"


INPUTS: tuple[Any, ...] = (("feature",), "inputs")


@pytest.mark.parametrize(
    ("kinds", "earlier", "action"),
    [
        # Each window counts by the verdict that measures the kind.
        (["performance"], [past(9, "ok", *INPUTS), past(9)], "retrain"),
        (["performance"], [past(9, "drift", *INPUTS), past(9, "ok")], "wait"),
        # Neither what a window lacks outcomes for, nor its inputs, count for or against drift of performance.
        (["performance"], [past(9, "ok", *INPUTS), past(9, "insufficient_data"), past(8)], "retrain"),
        (["performance"], [past(9, "data_fault", *INPUTS), past(9, "data_fault"), past(8)], "wait"),
        # Either verdict of a window counts if both kinds do.
        (["feature", "performance"], [past(9, "drift", *INPUTS), past(9, "ok")], "retrain"),
        (["feature", "performance"], [past(9, "ok", *INPUTS), past(9)], "retrain"),
        (["feature", "performance"], [past(9, "ok", *INPUTS), past(9, "ok"), past(8)], "wait"),
    ],
)
def test_windows_in_a_row_are_counted_over_both_detectors(
    kinds: list[str], earlier: list[PastVerdict], action: str
) -> None:
    spec = spec_with(triggers=[{"when": "drift", "kinds": kinds, "windows": 2}])
    assert ask(verdict(10), spec, verdicts=tuple(earlier)).action == action


def test_estimated_performance_retrains_before_outcomes() -> None:
    spec = spec_with(
        triggers=[{"when": "drift", "kinds": ["estimated_performance", "performance"], "windows": 2}]
    )
    estimated = ("estimated_performance",)
    received = verdict(10, drifted=estimated, detector="inputs", loss=None)
    assert ask(received, spec, verdicts=(past(9, "drift", estimated, "inputs"),)).action == "retrain"
    assert ask(received, spec, verdicts=(past(9, "ok", (), "inputs"),)).action == "wait"


def test_unhandled_drift_names_every_trigger() -> None:
    triggers = [{**PERFORMANCE, "windows": 2}, {"when": "floor"}, {"when": "new_rows", "rows": 1000}]
    decision = ask(verdict(10, loss=0.5), spec_with(triggers=triggers), rows_since=12)
    assert (decision.action, decision.reason_code) == ("wait", "no_trigger")
    assert decision.reason == (
        "drift of performance, but no trigger of loop.yaml fired: drift (performance drift in 1 of 2 windows in a row); "
        "floor (log_loss 0.5 is not above the floor 0.6); new_rows (12 new rows with outcomes, required 1000)"
    )


def test_unhandled_drift_without_triggers() -> None:
    decision = ask(verdict(10), spec_with(triggers=[]))
    assert (decision.action, decision.reason_code) == ("wait", "no_trigger")
    assert decision.reason == "drift of performance, but retraining.triggers in loop.yaml is empty"


def test_ok_verdict_is_healthy() -> None:
    decision = ask(verdict(10, "ok"), spec_with())
    assert (decision.action, decision.reason_code) == ("wait", "healthy")
    assert decision.reason == "no trigger of loop.yaml fired: drift (no performance drift)"


@pytest.mark.parametrize(
    ("earlier", "action"),
    [
        ([], "wait"),
        ([past(9)], "wait"),
        ([past(9), past(8)], "retrain"),
        ([past(9), past(8, "ok"), past(7)], "wait"),
        ([past(9), past(8, "insufficient_data"), past(7)], "retrain"),  # it saw too little to speak against
        ([past(9), past(8, "data_fault"), past(7)], "wait"),
        ([past(9), past(9), past(9)], "wait"),  # the same window evaluated again counts once
        ([past(9), past(8, drifted=("feature",))], "wait"),
        ([past(11), past(12)], "wait"),  # later windows do not count
    ],
)
def test_drift_must_last_the_configured_windows(earlier: list[PastVerdict], action: str) -> None:
    spec = spec_with(triggers=[{**PERFORMANCE, "windows": 3}])
    decision = ask(verdict(10), spec, verdicts=tuple(earlier))
    assert decision.action == action
    if action == "retrain":
        assert decision.change_since == min(one.window_start for one in earlier if one.state == "drift")


def test_loss_above_the_floor_retrains() -> None:
    spec = spec_with(triggers=[{"when": "floor"}])
    assert ask(verdict(10, "ok", loss=0.59), spec).reason_code == "healthy"
    assert ask(verdict(10, "ok", loss=None), spec).reason_code == "healthy"
    decision = ask(verdict(10, "ok", loss=0.61), spec)
    assert (decision.action, decision.reason_code) == ("retrain", "floor")
    assert decision.reason == "log_loss 0.61 is above the floor 0.6"


@pytest.mark.parametrize(
    ("trained_at", "runs", "fires"),
    [
        (at(3), (), True),
        (at(3.5), (), False),
        (at(0), (ran(4),), False),  # a training that was refused counts as a try
        (at(0), (ran(4, counts=False),), True),  # one that never trained does not
        (None, (), False),
    ],
)
def test_schedule_counts_event_time_since_last_training(
    trained_at: datetime | None, runs: tuple[PastRun, ...], fires: bool
) -> None:
    spec = spec_with(triggers=[{"when": "schedule", "every": "7d"}])
    decision = ask(verdict(10, "ok"), spec, trained_at=trained_at, runs=runs)
    assert decision.action == ("retrain" if fires else "wait")
    assert decision.reason_code == ("schedule" if fires else "healthy")


@pytest.mark.parametrize(("rows", "fires"), [(None, False), (999, False), (1000, True)])
def test_new_rows_trigger_fires_at_its_threshold(rows: int | None, fires: bool) -> None:
    decision = ask(
        verdict(10, "ok"), spec_with(triggers=[{"when": "new_rows", "rows": 1000}]), rows_since=rows
    )
    assert decision.reason_code == ("new_rows" if fires else "healthy")


def test_verdict_about_a_replaced_version_waits() -> None:
    assert ask(verdict(10, version="b" * 64), spec_with()).reason_code == "version_replaced"


def test_no_release_or_project_waits() -> None:
    assert ask(verdict(10), spec_with(), version="").reason_code == "no_project"
    assert ask(verdict(10), spec_with(), project=False).reason_code == "no_project"


def test_one_run_at_a_time() -> None:
    assert ask(verdict(10), spec_with(), runs=(ran(2, open=True),)).reason_code == "run_in_progress"


FEATURES = {"when": "drift", "kinds": ["feature", "prediction"]}


def seen(detector: str, start: float, end: float) -> Verdict:
    """A verdict on features from one day to another."""
    return verdict(end, drifted=("feature",), detector=detector, window_start=at(start), loss=None)


def test_stream_verdict_of_a_trigger_kind_retrains() -> None:
    spec = spec_with(triggers=[FEATURES])
    assert ask(seen("stream", 9.4, 9.5), spec).action == "retrain"
    assert ask(seen("stream", 9.4, 9.5), spec_with()).reason_code == "no_trigger", "its kinds decide"


def test_change_that_both_detectors_of_inputs_report_has_one_run() -> None:
    spec = spec_with(triggers=[FEATURES])
    after_alarm = ran(9.5, detector="stream")
    decision = ask(seen("inputs", 9, 10), spec, runs=(after_alarm,))
    assert (decision.action, decision.reason_code) == ("wait", "same_incident")
    assert "run-9.5 followed the stream verdict" in decision.reason
    after_window = ran(10, detector="inputs")
    assert ask(seen("stream", 9.9, 10.1), spec, runs=(after_window,)).reason_code == "same_incident"


@pytest.mark.parametrize(
    ("verdict_", "run"),
    [
        (seen("inputs", 10, 11), ran(9.5, detector="stream")),  # the next window: it lasts
        (seen("inputs", 9, 10), ran(9, detector="stream")),  # an alarm of the window before
        (seen("stream", 10.2, 10.3), ran(10, detector="inputs")),  # it began after the window
        (seen("stream", 9.4, 9.5), ran(9.45, detector="stream")),  # two alarms are two causes
        (seen("inputs", 9, 10), ran(9.5, detector="")),  # requested by a person
        (seen("inputs", 9, 10), ran(9.5, detector="performance")),
        (seen("inputs", 9, 10), ran(9.5, detector="stream", counts=False)),  # it ended before training
    ],
)
def test_other_changes_have_runs_of_their_own(verdict_: Verdict, run: PastRun) -> None:
    assert ask(verdict_, spec_with(triggers=[FEATURES]), runs=(run,)).action == "retrain"


def test_performance_drift_acts_whatever_followed_an_alarm_of_inputs() -> None:
    assert ask(verdict(10), spec_with(), runs=(ran(9.5, detector="stream"),)).action == "retrain"


@pytest.mark.parametrize(
    "run",
    [
        ran(10, detector="inputs"),  # of the same window
        ran(9.5, detector="stream"),
        ran(12, detector="performance"),  # of a later one, after which this one was revised
        ran(12, detector=""),
        ran(12, counts=False, suggested=True, open=True),
    ],
)
def test_revised_verdict_starts_no_second_run_of_its_window(run: PastRun) -> None:
    decision = ask(verdict(10, revision=2), spec_with(), runs=(run,))
    assert decision.action == "wait"
    if not run.open:
        assert decision.reason_code == "same_incident"
        assert f"run {run.run_id} had the rows of this window" in decision.reason
    assert (
        ask(verdict(10), spec_with(), runs=(replace(run, open=False, suggested=False),)).action == "retrain"
    )


@pytest.mark.parametrize("run", [ran(9), ran(8.5, detector="performance"), ran(10, counts=False)])
def test_revised_verdict_starts_the_first_run_of_its_window(run: PastRun) -> None:
    assert ask(verdict(10, revision=2), spec_with(), runs=(run,)).action == "retrain"


def risen(start: float, end: float) -> Verdict:
    """The evidence of many windows, that the loss has risen."""
    return verdict(end, drifted=("performance",), detector="stream", window_start=at(start))


def test_rise_of_the_loss_over_many_windows_retrains_though_no_window_shows_it() -> None:
    spec = spec_with(triggers=[{**PERFORMANCE, "windows": 3}])
    calm = tuple(past(day, state="ok", drifted=()) for day in range(2, 10))
    assert ask(risen(2, 9.5), spec, verdicts=calm).action == "retrain"
    assert ask(verdict(10), spec, verdicts=calm).action == "wait", "a window alone is one of three"
    assert ask(risen(2, 9.5), spec_with(triggers=[FEATURES])).reason_code == "no_trigger", "its kinds decide"


def test_rise_of_the_loss_within_one_window_counts_as_one_window() -> None:
    spec = spec_with(triggers=[{**PERFORMANCE, "windows": 3}])
    calm = tuple(past(day, state="ok", drifted=()) for day in range(2, 10))
    decision = ask(risen(8.6, 9.5), spec, verdicts=calm)
    assert decision.reason.endswith("drift (performance drift in 1 of 3 windows in a row)")
    assert ask(risen(8.5, 9.5), spec, verdicts=calm).action == "wait", "exactly one window"
    assert ask(risen(8.6, 9.5), spec, verdicts=(past(8), past(9))).action == "retrain", "the third in a row"
    assert ask(risen(8.6, 9.5), spec_with(), verdicts=calm).action == "retrain", "one window is enough"


def test_rise_of_the_loss_within_one_window_of_rows_counts_as_one_window() -> None:
    drift = {"drift": {"window": {"rows": 1000, "minimum_rows": 20}}}
    policy = {"triggers": [{**PERFORMANCE, "windows": 3}]}
    spec = LoopSpec.model_validate({**loop_with(automation="auto", retraining=policy), **drift})
    few, many = (risen(2, 9.5).model_copy(update={"rows": rows}) for rows in (1000, 1001))
    assert ask(few, spec).action == "wait"
    assert ask(many, spec).action == "retrain"


def test_rise_of_the_loss_is_no_incident_of_inputs() -> None:
    """A run that followed a window's inputs weeks ago has not answered it."""
    assert ask(risen(2, 9.5), spec_with(), runs=(ran(4, detector="inputs"),)).action == "retrain"


def test_cooldown_and_budget_hold_over_both_detectors() -> None:
    spec = spec_with(triggers=[FEATURES], cooldown="3d", budget={"runs": 2, "per": "30d"})
    assert (
        ask(seen("stream", 9.4, 9.5), spec, runs=(ran(8, detector="inputs"),)).reason_code == "cooling_down"
    )
    spent = (ran(2, detector="inputs"), ran(5, detector="stream"))
    assert ask(seen("inputs", 19, 20), spec, runs=spent).reason_code == "budget_spent"


def test_cooldown_does_not_apply_to_requests() -> None:
    spec = spec_with(cooldown="3d")
    decision = ask(verdict(10), spec, runs=(ran(7.5),))
    assert (decision.action, decision.reason_code) == ("wait", "cooling_down")
    assert decision.reason.startswith("cooling down until 2013-01-11 12:00; requested by trigger drift")
    assert ask(verdict(10), spec, runs=(ran(7),)).action == "retrain"
    assert ask(verdict(10), spec, runs=(ran(9, counts=False),)).action == "retrain"
    person = Cause("k", MODEL, "request", "please", actor="ann", event_time=at(10))
    assert ask(person, spec, runs=(ran(9),)) == Decision("retrain", "request", "requested by ann: please")
    assert (
        ask(Cause("k", MODEL, "alert", "LossHigh", event_time=at(10)), spec, runs=(ran(9),)).reason_code
        == "cooling_down"
    )


def test_budget_applies_to_requests() -> None:
    spec = spec_with(budget={"runs": 2, "per": "30d"})
    person = Cause("k", MODEL, "request", "please", event_time=at(40))
    assert ask(person, spec, runs=(ran(11), ran(35))).reason_code == "budget_spent"
    assert ask(person, spec, runs=(ran(9), ran(35))).action == "retrain"
    assert ask(person, spec, runs=(ran(11, counts=False), ran(35))).action == "retrain"


def test_limits_tolerate_a_clock_set_back() -> None:
    spec = spec_with(cooldown="3d", budget={"runs": 1, "per": "30d"})
    assert ask(verdict(10), spec, runs=(ran(12),)).reason_code == "cooling_down"
    assert ask(verdict(10), replace_cooldown(spec), runs=(ran(39),)).reason_code == "budget_spent"
    # An event time far in the future, from a caller with a wrong clock, does not block the loop forever.
    assert ask(verdict(10), spec, runs=(ran(36500),)).action == "retrain"


def replace_cooldown(spec: LoopSpec) -> LoopSpec:
    return spec.model_copy(
        update={
            "retraining": spec.require_performance().retraining.model_copy(update={"cooldown": timedelta(0)})
        }
    )


def test_automation_levels() -> None:
    person = Cause("k", MODEL, "request", "please", event_time=at(10))
    assert [
        ask(verdict(10), spec_with(level)).action
        for level in ("observe", "suggest", "retrain", "approve", "auto")
    ] == [
        "wait",
        "suggest",
        "retrain",
        "retrain",
        "retrain",
    ]
    assert ask(verdict(10), spec_with("observe")).reason_code == "observe_only"
    assert ask(person, spec_with("suggest")).action == "retrain"
    assert ask(person, spec_with("observe")).reason_code == "observe_only"
    waiting = (ran(9, open=True, suggested=True),)
    assert ask(verdict(10), spec_with("suggest"), runs=waiting).reason_code == "suggestion_open"
    assert ask(person, spec_with("suggest"), runs=waiting).action == "retrain"


def test_resolved_alert_starts_nothing() -> None:
    assert ask(Cause("k", MODEL, "alert", "LossHigh", resolved=True), spec_with()).reason_code == "resolved"


def test_alert_waits_for_its_verdict() -> None:
    """Without the verdict neither the triggers nor the version can be evaluated."""
    about = Cause("k", MODEL, "alert", "LossHigh", about="a" * 32, about_version=VERSION, about_state="drift")
    assert (ask(about, spec_with()).action, ask(about, spec_with()).reason_code) == (
        "wait",
        "verdict_awaited",
    )
    # Without a verdict consumer the alert decides, and the limits apply to it.
    assert (
        ask(about, spec_with(), consumes_verdicts=False).action,
        ask(about, spec_with(), consumes_verdicts=False).reason_code,
    ) == (
        "retrain",
        "alert",
    )
    assert (
        ask(about, spec_with(cooldown="3d"), consumes_verdicts=False, runs=(ran(9),)).reason_code
        == "cooling_down"
    )
    unclear = replace(about, about=UNCLEAR)
    for consumes_verdicts in (True, False):
        assert ask(unclear, spec_with(), consumes_verdicts=consumes_verdicts).reason_code == "verdict_unclear"
    assert ask(replace(about, about=None), spec_with()).reason_code == "alert"


def test_alert_annotations_decide_without_verdict_consumer() -> None:
    """Drift goes on evaluating the windows of a version that was replaced, and its alert is sent again with each."""
    about = Cause("k", MODEL, "alert", "LossHigh", about="a" * 32, about_version=VERSION, about_state="drift")
    assert ask(about, spec_with(), consumes_verdicts=False).action == "retrain"
    for version, state, reason_code in (
        ("b" * 64, "drift", "version_replaced"),
        (VERSION, "data_fault", "bad_data"),
        (VERSION, "insufficient_data", "insufficient_data"),
        (VERSION, "warming_up", "warming_up"),
        ("", "drift", "verdict_unclear"),
        (VERSION, "", "verdict_unclear"),
    ):
        annotated = replace(about, about_version=version, about_state=state)
        held = ask(annotated, spec_with(), consumes_verdicts=False)
        assert (held.action, held.reason_code) == ("wait", reason_code)
        # Where verdicts are received, the verdict says it itself.
        assert ask(annotated, spec_with()).reason_code == "verdict_awaited"


def test_first_firing_trigger_is_the_reason() -> None:
    both = [{"when": "floor"}, PERFORMANCE]
    assert ask(verdict(10, loss=0.7), spec_with(triggers=both)).reason_code == "floor"
    assert ask(verdict(10, loss=0.7), spec_with(triggers=both[::-1])).reason_code == "drift"


days_drawn = st.lists(st.integers(0, 400), min_size=1, max_size=60)


@settings(max_examples=300, deadline=None)
@given(days=days_drawn, runs=st.integers(1, 4), per=st.integers(1, 60), cooldown=st.integers(0, 20))
def test_budget_and_cooldown_are_never_exceeded(days: list[int], runs: int, per: int, cooldown: int) -> None:
    """Drift in any order of event time: no interval of event time has more runs than allowed."""
    spec = spec_with(cooldown=f"{cooldown}d", budget={"runs": runs, "per": f"{per}d"})
    started: list[PastRun] = []
    for number, day in enumerate(days):
        decision = ask(verdict(day), spec, runs=tuple(started))
        if decision.action == "retrain":
            started.append(replace(ran(day), run_id=f"run-{number}"))
    times = sorted(run.event_time for run in started)
    for first in range(len(times) - runs):
        assert times[first + runs] - times[first] >= timedelta(days=per)
    for earlier, later in pairwise(times):
        assert later - earlier >= timedelta(days=cooldown)
    assert started, "the first cause always finds setup"


@pytest.mark.parametrize("source", ["verdict", "request"])
@pytest.mark.parametrize("prediction", [{"kind": "embedding", "size": 3}, {"kind": "tensor"}])
def test_model_without_loss_is_never_retrained(source: str, prediction: dict[str, Any]) -> None:
    """Also a version of kind tensor from before, whose loop.yaml asks for it."""
    schedule = {"command": ["python"], "triggers": [{"when": "schedule", "every": "1d"}]}
    spec = LoopSpec.model_validate(loop_with(prediction=prediction, retraining=schedule, automation="auto"))
    person = Cause("k", MODEL, "request", "please", actor="ann", event_time=at(40))
    given = verdict(40, "drift", ("feature",)) if source == "verdict" else person
    decision = ask(given, spec, trained_at=at(1))
    assert (decision.action, decision.reason_code) == ("wait", "observe_only")
    assert f"predictions of kind {prediction['kind']} have no loss" in decision.reason
    healthy = ask(verdict(40, "ok"), spec)
    assert (healthy.action, healthy.reason_code) == ("wait", "healthy")


COMPARISON = Cause(
    "1" * 32,
    MODEL,
    "comparison",
    "the served version has been worse",
    event_time=at(10),
    about_version=VERSION,
    change_since=at(6),
)


def test_a_comparison_fires_its_own_trigger_alone() -> None:
    others = [{"when": "schedule", "every": "1d"}, {"when": "new_rows", "rows": 1}, PERFORMANCE]
    waits = ask(COMPARISON, spec_with(triggers=others), rows_since=10)
    assert (waits.action, waits.reason_code) == ("wait", "no_trigger")
    own = {"when": "worse_than_first"}
    assert ask(COMPARISON, spec_with(triggers=[*others, own])) == Decision(
        "retrain", "worse_than_first", "the served version has been worse", at(6)
    )
    assert ask(verdict(10), spec_with(triggers=[own])).action == "wait"


def test_a_comparison_of_a_replaced_version_starts_nothing() -> None:
    own = spec_with(triggers=[{"when": "worse_than_first"}])
    assert ask(COMPARISON, own, version="b" * 64).reason_code == "version_replaced"
    assert ask(COMPARISON, own, runs=(ran(9, open=True),)).reason_code == "run_in_progress"
