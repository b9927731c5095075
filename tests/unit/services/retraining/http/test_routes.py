"""HTTP routes of retraining on the whole service without Kafka: responses and the resulting release log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.retraining.cause import Cause
from services.retraining.ledger.metrics_snapshot import MetricsSnapshot
from shared.errors import DependencyUnavailable
from tests.fakes.retraining_app import SETTINGS, RetrainingApp
from tests.fakes.retraining_installation import MODEL
from tests.unit.services.retraining.triggers.test_webhooks import alert, alertmanager, grafana

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("wrap", [alertmanager, grafana])
def test_repeated_webhook_gives_one_run(app: RetrainingApp, wrap: Callable[..., dict[str, Any]]) -> None:
    app.deploy()
    answers = [app.post("/triggers", wrap(alert()), 202)["causes"][0] for _ in range(5)]
    assert [answer["new"] for answer in answers] == [True, False, False, False, False]
    assert len({answer["run_id"] for answer in answers}) == 1
    app.wait_for_state(answers[0]["run_id"], "promoted")
    clear = app.post("/triggers", wrap(alert(status="resolved")), 202)["causes"][0]
    assert (clear["action"], clear["reason_code"], clear["run_id"]) == ("wait", "resolved", "")
    assert len(app.get("/runs")["runs"]) == 1
    assert app.installation.trainings() == [answers[0]["run_id"]]
    assert len(app.served()) == 2


def test_suggested_run_needs_two_approvals(open_app: Callable[..., RetrainingApp]) -> None:
    """Once to start, once to promote."""
    app = open_app(automation="suggest")
    app.deploy()
    done = app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15)))
    assert done.decision.action == "suggest"
    assert app.get(f"/runs/{done.run_id}")["state"] == "suggested"
    assert app.installation.trainings() == []
    assert app.post(f"/runs/{done.run_id}/approve", {"actor": "ann"}, 200)["state"] == "queued"
    app.wait_for_state(done.run_id, "waiting_for_approval")
    assert len(app.served()) == 1
    app.post(f"/runs/{done.run_id}/approve", {"actor": "bob"}, 200)
    run = app.wait_for_state(done.run_id, "promoted")
    assert [(one["actor"], one["about"]) for one in run["approvals"]] == [
        ("ann (local)", "start"),
        ("bob (local)", "promotion"),
    ]
    assert app.get(f"/models/{MODEL}/releases")["releases"][-1]["actor"] == "bob (local)"
    assert len(app.installation.trainings()) == 1


def test_run_has_source_and_reason_of_its_cause(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="suggest")
    app.deploy()
    cause = Cause.of_verdict(app.installation.verdict(15, explanation="the loss rose"))
    run_id = app.service.controller.handle_cause(cause).run_id
    [listed] = app.get("/runs")["runs"]
    assert (listed["source"], listed["cause_reason"]) == ("verdict", "the loss rose")
    assert (listed["cause_actor"], listed["approvals"]) == ("drift", [])
    app.post(f"/runs/{run_id}/reject", {"actor": "ann"}, 200)
    [listed] = app.get("/runs")["runs"]
    assert [(one["actor"], one["answer"]) for one in listed["approvals"]] == [("ann (local)", "no")]
    rejected = app.get(f"/runs/{run_id}")
    assert (rejected["cause_reason"], rejected["reason"]) == ("the loss rose", "rejected by ann (local)")


def test_rejected_run_cannot_be_approved(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="suggest")
    app.deploy()
    run_id = app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15))).run_id
    assert app.post(f"/runs/{run_id}/reject", {"actor": "ann"}, 200)["state"] == "rejected"
    assert "only a waiting run" in app.post(f"/runs/{run_id}/approve", {"actor": "ann"}, 409)["error"]
    assert [run["run_id"] for run in app.get("/runs?state=rejected")["runs"]] == [run_id]


def test_rollback_restores_an_earlier_version(app: RetrainingApp) -> None:
    first, second = app.installation.champion, app.another_version(-0.6)
    app.deploy()
    assert (
        "nothing was served before" in app.post(f"/models/{MODEL}/rollback", {"actor": "ann"}, 409)["error"]
    )
    app.deploy(second)
    done = app.post(f"/models/{MODEL}/rollback", {"actor": "ann", "reason": "complaints"}, 201)["release"]
    assert (done["version"], done["generation"], done["reason"], done["actor"], done["note"]) == (
        first,
        3,
        "rollback",
        "ann (local)",
        "complaints",
    )
    assert app.served() == [first, second, first]
    assert (
        app.post(f"/models/{MODEL}/rollback", {"actor": "ann", "to_generation": 2}, 201)["release"]["version"]
        == second
    )
    assert app.served() == [first, second, first, second]
    for body, status in (
        ({"actor": "ann", "to_generation": 9}, 404),
        ({"actor": "ann", "to_generation": 4}, 409),
        ({"to_generation": 0}, 422),
    ):
        app.post(f"/models/{MODEL}/rollback", body, status)
    app.post("/models/nothing/rollback", {"actor": "ann"}, 404)
    assert len(app.served()) == 4


def test_repeated_rollback_is_a_conflict(app: RetrainingApp) -> None:
    first, second, third = app.installation.champion, app.another_version(-0.6), app.another_version(-0.7)
    for version in (first, second, third):
        app.deploy(version)
    body = {"actor": "ann", "expected_generation": 3}
    assert app.post(f"/models/{MODEL}/rollback", body, 201)["release"]["version"] == second
    again = app.post(f"/models/{MODEL}/rollback", body, 409)["error"]
    assert "generation 3 was expected to be served, but generation 4 is: a rollback by ann (local)" in again
    assert app.served() == [first, second, third, second]
    assert app.post(f"/models/{MODEL}/rollback", {**body, "expected_generation": 0}, 422)["field"]


def test_canary_and_shadow_are_started_and_ended_by_hand(app: RetrainingApp) -> None:
    first, second, third = app.installation.champion, app.another_version(-0.6), app.another_version(-0.7)
    body = {"version": second, "slot": "canary", "share": 0.1, "actor": "ann"}
    path = f"/models/{MODEL}"
    app.post(f"{path}/deployments", body, 404)
    app.deploy()
    done = app.post(f"{path}/deployments", body, 201)["release"]
    assert (done["slot"], done["share"], done["generation"]) == ("canary", 0.1, 2)
    assert app.post(f"{path}/deployments", body, 200)["release"] == done
    app.post(f"{path}/deployments", {"version": third, "slot": "shadow", "actor": "ann"}, 201)
    assert app.post(f"{path}/deployments", {"version": first, "slot": "shadow", "actor": "ann"}, 409)["error"]
    assert app.post(f"{path}/deployments", {**body, "slot": "live"}, 422)["error"]
    served = app.installation.store.slots(MODEL)
    assert {slot: release.version for slot, release in served.items()} == {
        "live": first, "canary": second, "shadow": third,
    }  # fmt: skip
    # The newest change that answers requests is taken back first; the shadow by its name.
    taken = app.post(f"{path}/rollback", {"actor": "ann"}, 201)["release"]
    assert (taken["version"], taken["slot"], taken["reason"]) == (second, "canary", "withdrawal")
    ended = app.post(f"{path}/rollback", {"actor": "ann", "slot": "shadow"}, 201)["release"]
    assert (ended["version"], ended["slot"]) == (third, "shadow")
    assert "has no shadow" in app.post(f"{path}/rollback", {"actor": "ann", "slot": "shadow"}, 404)["error"]
    assert 'homeostat_retraining_generation{model="toy"} 1.0' in app.client.get("/metrics").text


def test_first_acknowledgement_counts(app: RetrainingApp) -> None:
    app.deploy()
    key = app.service.controller.handle_cause(
        Cause.of_verdict(app.installation.verdict(15, state="data_fault", detector="inputs"))
    ).cause_key
    [before] = app.get("/decisions")["decisions"]
    assert (before["needs_acknowledgement"], before["acknowledged"]) == (True, None)
    assert 'unacknowledged_decisions{model="toy"} 1.0' in app.client.get("/metrics").text

    path = f"/causes/{key}/acknowledge"
    done = app.post(path, {"actor": "ann", "note": "sensor replaced"}, 200)
    assert (done["cause_key"], done["actor"], done["note"]) == (key, "ann (local)", "sensor replaced")
    assert app.post(path, {"actor": "bob"}, 200) == done
    [after] = app.get("/decisions")["decisions"]
    said = {name: done[name] for name in ("actor", "note", "at")}
    assert (after["needs_acknowledgement"], after["acknowledged"]) == (True, said)
    assert app.get(f"/causes/{key}/why")["decision"]["acknowledged"] == said
    assert 'unacknowledged_decisions{model="toy"} 0.0' in app.client.get("/metrics").text


def test_older_decisions_are_acknowledged_together(app: RetrainingApp) -> None:
    app.deploy()
    keys = [
        app.service.controller.handle_cause(
            Cause.of_verdict(app.installation.verdict(day, state="data_fault", detector="inputs"))
        ).cause_key
        for day in range(10, 15)
    ]
    assert app.get("/decisions/open")["causes"] == sorted(keys)
    [group] = app.get("/decisions?limit=1")["unacknowledged"]
    assert (group["issue"], group["count"], group["newest_key"]) == ("data_fault", 5, keys[4])
    assert app.get("/decisions?model=other")["unacknowledged"] == []
    body = {"actor": "ann", "and_older": True, "issue": "data_fault", "expected_older": 1}
    assert "nothing was acknowledged" in app.post(f"/causes/{keys[2]}/acknowledge", body, 409)["error"]
    assert 'unacknowledged_decisions{model="toy"} 5.0' in app.client.get("/metrics").text
    for expected in (2, 0):
        done = app.post(f"/causes/{keys[2]}/acknowledge", {**body, "expected_older": 2}, 200)
        assert done["acknowledged_older"] == expected
    assert 'unacknowledged_decisions{model="toy"} 2.0' in app.client.get("/metrics").text
    other = {"actor": "ann", "and_older": True, "issue": "drift"}
    assert app.post(f"/causes/{keys[4]}/acknowledge", other, 200)["acknowledged_older"] == 0
    assert app.post(f"/causes/{keys[4]}/acknowledge", {"actor": "bob"}, 200)["acknowledged_older"] == 0
    [left] = app.get("/decisions")["unacknowledged"]
    assert (left["count"], left["newest_key"]) == (1, keys[3])
    assert (
        app.post(f"/causes/{keys[4]}/acknowledge", {"actor": "bob", "and_older": True}, 200)[
            "acknowledged_older"
        ]
        == 1
    )
    assert app.get("/decisions")["unacknowledged"] == []
    assert app.get("/decisions/open")["causes"] == []


def test_cause_of_an_unfinished_run_is_open(app: RetrainingApp) -> None:
    app.deploy()
    recorded = app.service.controller.handle_cause(
        Cause.of_verdict(app.installation.verdict(15, state="drift"))
    )
    assert recorded.run_id
    assert app.get("/decisions/open")["causes"] == [recorded.cause_key]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"actor": "a" * 101}, "actor"),
        ({"actor": "ann (admin)"}, "actor"),
        ({"actor": "ann\nbob"}, "actor"),
        ({"actor": "ann", "note": "n" * 501}, "note"),
        ({"actor": "ann", "note": 5}, "note"),
        ({"actor": "ann", "when": "now"}, "when"),
        ({"actor": "ann", "and_older": "yes"}, "and_older"),
        ({"actor": "ann", "and_older": True, "issue": "ok"}, "issue"),
        ({"actor": "ann", "and_older": True, "expected_older": -1}, "expected_older"),
        ({"actor": "ann", "issue": "drift"}, "body"),
        ({"actor": "ann", "expected_older": 0}, "body"),
    ],
)
def test_invalid_acknowledgement_is_rejected(app: RetrainingApp, body: dict[str, Any], field: str) -> None:
    app.deploy()
    key = app.service.controller.handle_cause(
        Cause.of_verdict(app.installation.verdict(15, state="data_fault", detector="inputs"))
    ).cause_key
    assert app.post(f"/causes/{key}/acknowledge", body, 422)["field"] == field
    assert (
        "there is no cause nothing" in app.post("/causes/nothing/acknowledge", {"actor": "ann"}, 404)["error"]
    )
    assert app.get("/decisions")["decisions"][0]["acknowledged"] is None


def test_repeated_deployment_makes_no_release(app: RetrainingApp) -> None:
    assert app.deploy()["new"] is True
    again = app.deploy(status=200)
    assert (again["new"], again["release"]["generation"]) == (False, 1)
    assert app.served() == [app.installation.champion]


def test_invalid_deployment_is_rejected(app: RetrainingApp, tmp_path: Path) -> None:
    assert "has no version" in app.deploy("f" * 64, status=404)["error"]
    assert app.deploy("short", status=422)["field"] == "version"
    assert app.deploy(status=422, actor="a (b)")["field"] == "actor"
    assert app.deploy(status=422, project_directory="relative/path")["field"] == "project_directory"
    assert "cannot be read" in app.deploy(status=422, project_directory=str(tmp_path))["error"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "loop.yaml").write_text(
        (app.installation.project / "loop.yaml").read_text().replace("model: toy", "model: other")
    )
    assert app.deploy(status=422, project_directory=str(other))["field"] == "project_directory"
    stored = (
        app.installation.home
        / "models"
        / MODEL
        / "versions"
        / app.installation.champion
        / "reference.parquet"
    )
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert "another digest" in app.deploy(status=500)["error"]
    assert app.served() == []


def test_invalid_requests_name_the_field(app: RetrainingApp) -> None:
    answer = app.client.post("/triggers", content=b"{not json", headers=JSON)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")
    assert app.post("/triggers", {"model": "toy"}, 422)["field"] == "reason"
    assert app.get("/runs?state=nonsense", 422)["field"] == "state"
    assert app.get("/runs?limit=0", 422)["field"] == "limit"
    assert "there is no run x" in app.get("/runs/x", 404)["error"]
    assert "there is no version" in app.get("/versions/abcdefgh/why", 404)["error"]
    assert "there is no route /nowhere" in app.get("/nowhere", 404)["error"]
    assert app.client.put("/triggers").status_code == 405
    too_big = app.client.post("/triggers", content=b" " * (SETTINGS.maximum_body_bytes + 1), headers=JSON)
    assert too_big.status_code == 413
    assert "bytes" in too_big.json()["error"]


def test_metrics_without_ledger_have_no_stale_values(
    app: RetrainingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.deploy()
    before = app.client.get("/metrics").text
    assert "homeostat_retraining_ledger_up 1.0" in before
    assert f'homeostat_retraining_generation{{model="{MODEL}"}} 1.0' in before

    def unavailable() -> MetricsSnapshot:
        raise DependencyUnavailable("the ledger is unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(app.service.deps.ledger, "metrics_snapshot", unavailable)
        answer = app.client.get("/metrics")
    assert answer.status_code == 200
    assert "homeostat_retraining_ledger_up 0.0" in answer.text
    assert "homeostat_retraining_listening 0.0" in answer.text
    assert "homeostat_retraining_generation{" not in answer.text
    assert "homeostat_retraining_runs_open NaN" in answer.text
    assert app.client.get("/metrics").text.count("homeostat_retraining_ledger_up 1.0") == 1
