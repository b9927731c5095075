"""The chain as one paragraph."""

from __future__ import annotations

import pytest

from cli.explanation import explain

VERSION = "ab" * 32
RUN = {
    "run_id": "run-1",
    "model": "flights",
    "state": "promoted",
    "version": VERSION,
    "reason": "gain +0.01",
}
RELEASE = {"generation": 3, "reason": "rollout", "actor": "policy", "released_at": "2013-02-08T10:00:00Z"}
DECISION = {"action": "retrain", "reason_code": "drift", "reason": "the loss rose above the floor"}


def test_prediction_names_version_run_and_cause() -> None:
    chain = {
        "prediction": {"model": "flights", "version": VERSION, "generation": 3, "score": 0.25},
        "version": {"version": VERSION, "model": "flights", "origin": {"kind": "run"}, "releases": [RELEASE]},
        "release": RELEASE,
        "run": RUN,
        "snapshot": {"train_rows": 5000},
        "decision": DECISION,
    }
    text = explain("prediction", "p1", chain)
    assert "\n" not in text
    assert text == (
        "Prediction p1 was answered by flights, version abababababab, generation 3 with score 0.25. "
        "Run run-1 trained on 5000 rows and made version abababababab; it is promoted: gain +0.01. "
        "It was released as generation 3 on 2013-02-08 10:00 by policy (rollout). "
        "The policy decided to retrain: the loss rose above the floor."
    )


def test_prediction_of_classes_names_its_label() -> None:
    row = {"model": "digits", "version": VERSION, "generation": 1, "score": 0.75}
    for label in (0, "cat"):
        text = explain("prediction", "p1", {"prediction": {**row, "label": label}})
        assert f"generation 1 with label {label}, score 0.75." in text


def test_prediction_names_the_class_of_its_probability() -> None:
    row = {"model": "tickets", "version": VERSION, "generation": 1, "score": 0.75, "positive": "complaint"}
    text = explain("prediction", "p1", {"prediction": {**row, "event_time": "2026-01-01T00:00:00Z"}})
    assert "with score 0.75, the probability of 'complaint', at event time 2026-01-01 00:00." in text
    text = explain("prediction", "p1", {"prediction": row})
    assert text.endswith("with score 0.75, the probability of 'complaint'.")


@pytest.mark.parametrize(
    ("state", "attempts", "expected"),
    [
        ("suggested", 0, "Run run-1 is suggested; `homeostat approve run-1` starts it: loss 2 above 1."),
        ("abandoned", 0, "Run run-1 is abandoned, without a training: loss 2 above 1."),
        ("failed", 2, "Run run-1 trained and made no version; it is failed: loss 2 above 1."),
        (
            "waiting_for_approval",
            1,
            "Run run-1 trained and made no version; `homeostat approve run-1` releases it: loss 2 above 1.",
        ),
    ],
)
def test_run_without_version_shows_its_progress(state: str, attempts: int, expected: str) -> None:
    run = {**RUN, "state": state, "attempts": attempts, "version": "", "reason": "loss 2 above 1."}
    assert expected in explain("run", "run-1", {"run": run})


def test_deployed_version_has_no_run() -> None:
    version = {
        "version": VERSION,
        "model": "flights",
        "origin": {"kind": "deployment", "snapshot": "c0ffee", "trained_until": "2013-01-15T05:00:00+00:00"},
        "releases": [],
    }
    assert explain("version", VERSION, {"version": version, "run": None}) == (
        "Version abababababab is a version of flights. It was deployed by hand, trained on rows until 2013-01-15 05:00."
    )


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2013-01-15T05:00:00+00:00", "; its newest reference row is from 2013-01-15 05:00."),
        ("", "."),
    ],
)
def test_artifact_claims_no_training_rows(until: str, expected: str) -> None:
    origin = {"kind": "deployment", "snapshot": "", "trained_until": until}
    version = {"version": VERSION, "model": "flights", "origin": origin, "releases": []}
    assert explain("version", VERSION, {"version": version, "run": None}) == (
        "Version abababababab is a version of flights. It was trained outside of Homeostat and deployed by hand, so its "
        f"training rows are not recorded{expected}"
    )


def test_cause_without_a_run_shows_the_decision() -> None:
    chain = {
        "cause": {"model": "flights"},
        "decision": {"action": "wait", "reason": "the cooldown is not over"},
    }
    assert explain("cause", "c1", chain) == (
        "Cause c1 concerns flights. The policy decided to wait: the cooldown is not over."
    )


def test_cause_names_its_clock_and_its_revisions() -> None:
    revision = {"revision": 2, "state_before": "ok", "state": "drift"}
    cause = {
        "model": "flights",
        "state": "drift",
        "window_end": "2013-02-08T10:00:00Z",
        "verdict": {"detector": "performance"},
        "revisions": [revision],
    }
    assert explain("cause", "c1", {"cause": cause}) == (
        "Cause c1 concerns flights. It is the verdict drift on the performance of the window until 2013-02-08 10:00. "
        "Late or corrected outcomes changed it from ok to drift (revision 2)."
    )


def test_cause_names_stream_detection() -> None:
    cause = {
        "model": "flights",
        "state": "drift",
        "window_end": "2013-02-08T10:00:00Z",
        "verdict": {"detector": "stream"},
    }
    assert explain("cause", "c1", {"cause": cause}) == (
        "Cause c1 concerns flights. It is the verdict drift of stream detection on the rows until 2013-02-08 10:00."
    )


def test_prediction_of_several_values_names_them() -> None:
    row = {"model": "ranges", "version": VERSION, "generation": 1, "values": {"low": 1.25, "high": 4.0}}
    assert "generation 1 with low 1.25, high 4." in explain("prediction", "p1", {"prediction": row})
    many = row | {"values": {f"n{place}": float(place) for place in range(12)}}
    assert "n9 9, …." in explain("prediction", "p1", {"prediction": many})


@pytest.mark.parametrize(
    ("outcome", "observed_at", "expected"),
    [
        (0.0, "2026-03-01T12:00:00+00:00", " Its outcome is 0, observed at 2026-03-01 12:00."),
        (123456.0, None, " Its outcome is 123456."),
        ("cat", None, " Its outcome is cat."),
        ({"low": 1.5, "high": 3.0}, None, " Its outcome is low 1.5, high 3."),
        (None, None, ""),
    ],
)
def test_prediction_names_its_known_outcome(outcome: object, observed_at: str | None, expected: str) -> None:
    row = {
        "model": "flights",
        "version": VERSION,
        "generation": 3,
        "score": 0.25,
        "outcome": outcome,
        "observed_at": observed_at,
    }
    assert explain("prediction", "p1", {"prediction": row}) == (
        f"Prediction p1 was answered by flights, version abababababab, generation 3 with score 0.25.{expected}"
    )


def test_version_says_what_came_of_its_watch() -> None:
    watch = {
        "generation": 4,
        "state": "rolled_back",
        "rollback_generation": 5,
        "reason": "log_loss 0.6, before 0.5",
    }
    text = explain("version", "v" * 64, {"version": {"version": "v" * 64, "model": "m", "watches": [watch]}})
    assert "After generation 4 the loop rolled it back, as generation 5: log_loss 0.6, before 0.5." in text
    watch |= {"state": "watching", "reason": ""}
    text = explain("version", "v" * 64, {"version": {"version": "v" * 64, "model": "m", "watches": [watch]}})
    assert "After generation 4 it is being watched." in text
    assert "improvable" not in text


def test_version_says_that_better_is_possible() -> None:
    better = {"text": "the former champion b has lost less"}
    text = explain(
        "version", "v" * 64, {"version": {"version": "v" * 64, "model": "m", "improvable": [better]}}
    )
    assert "It is improvable: the former champion b has lost less." in text
