"""The chain as one paragraph."""

from __future__ import annotations

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
        "Run run-1 trained on 5000 rows and made version abababababab; it ended promoted: gain +0.01. "
        "It was released as generation 3 on 2013-02-08 10:00 by policy (rollout). "
        "The policy decided to retrain: the loss rose above the floor."
    )


def test_deployed_version_has_no_run() -> None:
    version = {
        "version": VERSION,
        "model": "flights",
        "origin": {"kind": "deployment", "trained_until": "2013-01-15T05:00:00+00:00"},
        "releases": [],
    }
    assert explain("version", VERSION, {"version": version, "run": None}) == (
        "Version abababababab is a version of flights. It was deployed by hand, trained on rows until 2013-01-15 05:00."
    )


def test_cause_without_a_run_shows_the_decision() -> None:
    chain = {
        "cause": {"model": "flights"},
        "decision": {"action": "wait", "reason": "the cooldown is not over"},
    }
    assert explain("cause", "c1", chain) == (
        "Cause c1 concerns flights. The policy decided to wait: the cooldown is not over."
    )
