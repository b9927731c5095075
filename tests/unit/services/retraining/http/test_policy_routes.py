"""GET /models/{model}/why-not and POST /models/{model}/what-if."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.retraining.cause import Cause
from shared.access.scope import Scope
from tests.fakes.retraining_app import RetrainingApp
from tests.fakes.retraining_installation import MODEL


def nested(levels: int) -> Any:
    """An object in an object, so many times."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_why_not_names_what_is_missing(open_app: Callable[..., RetrainingApp]) -> None:
    """And what-if says which run another policy would have started."""
    triggers = [
        {"when": "drift", "kinds": ["performance"], "windows": 2},
        {"when": "schedule", "every": "40d"},
    ]
    budget = {"runs": 2, "per": "30d"}
    app = open_app(retraining={"triggers": triggers, "budget": budget, "minimum_rows": 5000})
    app.get(f"/models/{MODEL}/why-not", 404)
    app.deploy()
    empty = app.get(f"/models/{MODEL}/why-not")
    assert (empty["next_decision"], empty["last_run"], empty["not_promoted"]) == (None, None, "")
    assert empty["improvable"] == []
    app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(14)))
    found = app.get(f"/models/{MODEL}/why-not")
    assert (found["next_decision"]["state"], found["next_decision"]["action"]) == ("drift", "wait")
    assert [one["fires"] for one in found["triggers"]] == [False, False]
    assert "1 of 2 windows" in found["triggers"][0]["reason"]
    assert 24 < found["triggers"][1]["distance"]["seconds_left"] / 86400 < 26
    assert found["limits"]["budget"] == {"runs": 2, "per_seconds": 30 * 86400.0, "used": 0}
    assert found["rows"] == {"with_outcomes": 1440, "required": 5100, "missing": 3660}
    assert found["last_decision"]["reason_code"] == "no_trigger"
    run_id = app.request_run()["run_id"]
    app.wait_for_state(run_id, "abandoned")
    after = app.get(f"/models/{MODEL}/why-not")
    assert after["last_run"]["run_id"] == run_id
    assert after["not_promoted"].startswith(f"run {run_id} ended as abandoned: ")

    policy = {"retraining": {"triggers": [{"when": "drift", "kinds": ["performance"]}]}}
    would = app.post(f"/models/{MODEL}/what-if", policy, 200)
    assert (would["verdicts"], would["runs"], would["logged_runs"]) == (1, 1, 0)
    [one] = would["decisions"]
    assert (one["action"], one["logged_reason_code"]) == ("retrain", "no_trigger")
    assert app.post(f"/models/{MODEL}/what-if", {}, 200)["runs"] == 0
    wrong = app.post(f"/models/{MODEL}/what-if", {"retraining": {"command": ["x"]}}, 422)
    assert "retraining.command" in wrong["error"]
    for part in ({"triggers": nested(700)}, {"triggers": [{"when": nested(700)}]}, {"cooldown": nested(200)}):
        deep = app.client.post(f"/models/{MODEL}/what-if", json={"retraining": part})
        assert (deep.status_code, deep.json()["field"]) == (422, "retraining"), deep.text
    deep = app.client.post(f"/models/{MODEL}/what-if", json={"costs": {"training": nested(700)}})
    assert deep.status_code == 422, deep.text
    whole = app.post(f"/models/{MODEL}/what-if", {"model": MODEL, **policy}, 422)
    assert whole["error"].startswith("the policy has model; a policy has retraining.triggers, ")
    assert len(app.get("/runs")["runs"]) == 1

    viewer = app.key("viewer", Scope.READ)
    answer = app.client.post(f"/models/{MODEL}/what-if", json=policy, headers=viewer)
    assert (answer.status_code, answer.json()) == (200, would), "it is reading"


def test_what_if_needs_no_version_that_was_deleted(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app()
    app.deploy()
    for day in (13, 14):
        verdict = app.installation.verdict(day, version="e" * 64)
        app.service.controller.handle_cause(Cause.of_verdict(verdict))
    app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15, state="ok")))
    would = app.post(f"/models/{MODEL}/what-if", {}, 200)
    assert [one["reason_code"] for one in would["decisions"]] == ["healthy"]
