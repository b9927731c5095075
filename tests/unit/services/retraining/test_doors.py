"""The HTTP deps, on the whole service without Kafka: what they answer, and what then lies in the release log."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.retraining.bootstrap import Service, build
from services.retraining.cause import Cause
from services.retraining.ledger.metrics_snapshot import MetricsSnapshot, OpenRun
from services.retraining.ledger_gauges import update_gauges
from services.retraining.metrics import RetrainingMetrics
from services.retraining.run_states import ENDS
from services.retraining.settings import RetrainingSettings
from shared.contracts.release import Release
from shared.errors import DependencyUnavailable, OperatorError
from shared.http.errors import UNKNOWN_ERROR
from tests.fakes.retraining_service import wait_for
from tests.fakes.retraining_world import MODEL, START, World, make_world, package_poor_champion
from tests.unit.services.retraining.triggers.test_webhooks import alert, alertmanager, grafana

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

JSON = {"Content-Type": "application/json"}
SETTINGS = RetrainingSettings(listen=False, mlflow=False, poll_seconds=0.05, latency_calls=5)


class House:
    """A world, the service in it, and a client at its deps."""

    def __init__(self, world: World, service: Service, client: TestClient) -> None:
        self.world, self.service, self.client = world, service, client

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, status: int) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def deploy(self, version: str = "", status: int = 201, **changes: Any) -> Any:
        body = {
            "version": version or self.world.champion,
            "project_directory": str(self.world.project),
            "actor": "ann",
        }
        return self.post(f"/models/{MODEL}/deployments", {**body, **changes}, status)

    def served(self) -> list[str]:
        return [entry["version"] for entry in self.get(f"/models/{MODEL}/releases")["releases"]]

    def ask(self, **more: Any) -> Any:
        return self.post("/triggers", {"model": MODEL, "reason": "please", "actor": "ann", **more}, 202)[
            "causes"
        ][0]

    def wait_for_state(self, run_id: str, *states: str) -> dict[str, Any]:
        """The run once it reached one of `states`; fails at once, with the run, when it ended in another."""
        run: dict[str, Any] = {}

        def reached() -> bool:
            run.update(self.get(f"/runs/{run_id}"))
            assert run["state"] in states or run["state"] not in ENDS, run
            return run["state"] in states

        wait_for(reached, 60, f"{run_id} to become {' or '.join(states)}")
        return run

    def another_version(self, slope: float) -> str:
        return package_poor_champion(
            self.world.project.parent, self.world.spec, self.world.store, self.world.keys, slope=slope
        )


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    clients: list[TestClient] = []

    def open_one(**changes: Any) -> House:
        world = make_world(tmp_path / f"w{len(clients)}", days=15, **changes)
        service = build(world.settings, SETTINGS)
        client = TestClient(service.app, base_url="http://127.0.0.1:8003", raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return House(world, service, client)

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def house(open_house: Callable[..., House]) -> House:
    return open_house()


def test_from_a_verdict_to_why(house: House) -> None:
    """The whole loop, and the chain prediction → version → run → snapshot → cause and back."""
    house.deploy()
    verdict = house.world.verdict(15, explanation="the loss rose")
    for _ in range(3):
        house.service.controller.handle_cause(Cause.of_verdict(verdict))
    [run] = house.get("/runs")["runs"]
    run = house.wait_for_state(run["run_id"], "promoted", "refused", "failed")
    assert run["state"] == "promoted", run["reason"]
    assert house.served() == [house.world.champion, run["version"]]
    assert house.world.trainings() == [run["run_id"]]

    told = house.get(f"/decisions?model={MODEL}")
    [decision] = told["decisions"]
    assert (decision["action"], decision["reason_code"], decision["run_id"]) == (
        "retrain",
        "drift",
        run["run_id"],
    )
    # The loop has answered it: it waits for nobody.
    assert (decision["needs_acknowledgement"], told["unacknowledged"]) == (False, [])
    assert decision["deliveries"] == 3

    why = house.get(f"/versions/{run['version'][:12]}/why")
    assert why["run"]["run_id"] == run["run_id"]
    assert why["snapshot"]["digest"] == run["snapshot"]["digest"]
    assert why["cause"]["verdict"]["explanation"] == "the loss rose"
    assert [entry["generation"] for entry in why["version"]["releases"]] == [2]
    assert why["predictions"] == {"count": 0, "first_event_time": None, "last_event_time": None}
    assert (why["decision"]["action"], why["decision"]["reason_code"]) == ("retrain", "drift")

    text = house.client.get("/metrics").text
    assert 'homeostat_retraining_decisions_total{action="retrain",model="toy",reason="drift"} 1.0' in text
    assert 'homeostat_retraining_repeated_causes_total{model="toy"} 2.0' in text
    assert 'homeostat_retraining_runs_total{model="toy",outcome="promoted"} 1.0' in text
    assert 'homeostat_retraining_generation{model="toy"} 2.0' in text
    status = house.get("/status")
    assert (status["ready"], status["is_leader"], status["leader"]) == (True, True, "this process")


def test_why_a_prediction_was_answered_so(house: House) -> None:
    house.deploy()
    assert "the lake has no prediction nothing" in house.get("/predictions/nothing/why", 404)["error"]
    from deltalake import DeltaTable, write_deltalake

    place = house.world.lake.predictions(MODEL)
    rows = DeltaTable(place).to_pyarrow_table().slice(0, 1)
    row = rows.set_column(rows.schema.get_field_index("prediction_id"), "prediction_id", [["mine"]])
    row = row.set_column(row.schema.get_field_index("version"), "version", [[house.world.champion]])
    write_deltalake(place, row, mode="append")
    why = house.get("/predictions/mine/why")
    assert why["prediction"]["prediction_id"] == "mine"
    assert why["version"]["version"] == house.world.champion
    assert why["release"]["generation"] == 1
    assert why["version"]["origin"]["kind"] == "deployment"
    assert why["run"] is None


def add_predictions(house: House, version: str, count: int) -> list[str]:
    """The lake's first rows once more, as if `version` had answered them; their event times."""
    from deltalake import DeltaTable, write_deltalake

    place = house.world.lake.predictions(MODEL)
    rows = DeltaTable(place).to_pyarrow_table().sort_by("event_time").slice(0, count)
    rows = rows.set_column(rows.schema.get_field_index("version"), "version", [[version] * count])
    write_deltalake(place, rows, mode="append")
    return [moment.isoformat() for moment in rows["event_time"].to_pylist()]


def test_why_goes_forth_from_a_run_or_its_cause_to_the_predictions_it_led_to(house: House) -> None:
    house.deploy()
    asked = house.ask(key="mine")
    run = house.wait_for_state(asked["run_id"], "promoted")
    times = add_predictions(house, run["version"], 3)
    why = house.get(f"/causes/{asked['cause_key']}/why")
    assert (why["cause"]["key"], why["cause"]["reason"]) == (asked["cause_key"], "please")
    assert (why["decision"]["action"], why["decision"]["reason"]) == ("retrain", asked["reason"])
    assert (why["run"]["run_id"], why["snapshot"]) == (run["run_id"], run["snapshot"])
    assert why["version"]["version"] == run["version"]
    assert [entry["generation"] for entry in why["version"]["releases"]] == [2]
    assert why["predictions"] == {
        "count": 3,
        "first_event_time": times[0],
        "last_event_time": times[-1],
    }
    assert house.get(f"/runs/{run['run_id']}/why") == why


def test_why_tells_how_far_a_cause_went(open_house: Callable[..., House]) -> None:
    house = open_house(automation="observe")
    house.deploy()
    asked = house.ask()
    why = house.get(f"/causes/{asked['cause_key']}/why")
    assert (why["decision"]["action"], why["decision"]["reason_code"], "run" in why) == (
        "wait",
        "observe_only",
        False,
    )
    assert "there is no cause nothing" in house.get("/causes/nothing/why", 404)["error"]
    assert "there is no run run-nothing" in house.get("/runs/run-nothing/why", 404)["error"]


def test_why_of_a_run_that_made_no_version_or_whose_version_is_gone(open_house: Callable[..., House]) -> None:
    house = open_house(retraining={"command": ["python", "train.py", "fail"]})
    house.deploy()
    run = house.wait_for_state(house.ask()["run_id"], "failed")
    why = house.get(f"/runs/{run['run_id']}/why")
    assert (why["run"]["state"], why["version"], why["predictions"]) == ("failed", None, None)


@pytest.mark.parametrize("wrap", [alertmanager, grafana])
def test_the_same_webhook_five_times_gives_one_cause_and_one_run(
    house: House, wrap: Callable[..., dict[str, Any]]
) -> None:
    house.deploy()
    answers = [house.post("/triggers", wrap(alert()), 202)["causes"][0] for _ in range(5)]
    assert [answer["new"] for answer in answers] == [True, False, False, False, False]
    assert len({answer["run_id"] for answer in answers}) == 1
    house.wait_for_state(answers[0]["run_id"], "promoted")
    clear = house.post("/triggers", wrap(alert(status="resolved")), 202)["causes"][0]
    assert (clear["action"], clear["reason_code"], clear["run_id"]) == ("wait", "resolved", "")
    assert len(house.get("/runs")["runs"]) == 1
    assert house.world.trainings() == [answers[0]["run_id"]]
    assert len(house.served()) == 2


def test_observe_writes_down_and_does_nothing(open_house: Callable[..., House]) -> None:
    house = open_house(automation="observe")
    house.deploy()
    done = house.service.controller.handle_cause(Cause.of_verdict(house.world.verdict(15)))
    assert (done.decision.action, done.decision.reason_code, done.run_id) == ("wait", "observe_only", "")
    assert house.get("/runs")["runs"] == []
    assert "would retrain: performance drift" in house.get("/decisions")["decisions"][0]["reason"]


def test_suggest_waits_for_a_person_twice(open_house: Callable[..., House]) -> None:
    """Once to start, once to promote."""
    house = open_house(automation="suggest")
    house.deploy()
    done = house.service.controller.handle_cause(Cause.of_verdict(house.world.verdict(15)))
    assert done.decision.action == "suggest"
    assert house.get(f"/runs/{done.run_id}")["state"] == "suggested"
    assert house.world.trainings() == []
    assert house.post(f"/runs/{done.run_id}/approve", {"actor": "ann"}, 200)["state"] == "queued"
    house.wait_for_state(done.run_id, "waiting_for_approval")
    assert len(house.served()) == 1
    house.post(f"/runs/{done.run_id}/approve", {"actor": "bob"}, 200)
    run = house.wait_for_state(done.run_id, "promoted")
    assert [(one["actor"], one["about"]) for one in run["approvals"]] == [
        ("ann", "start"),
        ("bob", "promotion"),
    ]
    assert house.get(f"/models/{MODEL}/releases")["releases"][-1]["actor"] == "bob"
    assert len(house.world.trainings()) == 1


def test_a_rejected_run_is_over(open_house: Callable[..., House]) -> None:
    house = open_house(automation="suggest")
    house.deploy()
    run_id = house.service.controller.handle_cause(Cause.of_verdict(house.world.verdict(15))).run_id
    assert house.post(f"/runs/{run_id}/reject", {"actor": "ann"}, 200)["state"] == "rejected"
    assert "only a waiting run" in house.post(f"/runs/{run_id}/approve", {"actor": "ann"}, 409)["error"]
    assert [run["run_id"] for run in house.get("/runs?state=rejected")["runs"]] == [run_id]


def test_a_rollback_changes_what_the_log_says_is_served(house: House) -> None:
    first, second = house.world.champion, house.another_version(-0.6)
    house.deploy()
    assert (
        "nothing was served before" in house.post(f"/models/{MODEL}/rollback", {"actor": "ann"}, 409)["error"]
    )
    house.deploy(second)
    done = house.post(f"/models/{MODEL}/rollback", {"actor": "ann", "reason": "complaints"}, 201)["release"]
    assert (done["version"], done["generation"], done["reason"], done["actor"], done["note"]) == (
        first,
        3,
        "rollback",
        "ann",
        "complaints",
    )
    assert house.served() == [first, second, first]
    assert (
        house.post(f"/models/{MODEL}/rollback", {"actor": "ann", "to_generation": 2}, 201)["release"][
            "version"
        ]
        == second
    )
    assert house.served() == [first, second, first, second]
    for body, status in (
        ({"actor": "ann", "to_generation": 9}, 404),
        ({"actor": "ann", "to_generation": 4}, 409),
        ({}, 422),
    ):
        house.post(f"/models/{MODEL}/rollback", body, status)
    house.post("/models/nothing/rollback", {"actor": "ann"}, 404)
    assert len(house.served()) == 4


def test_a_rollback_that_is_sent_twice_goes_back_once(house: House) -> None:
    first, second, third = house.world.champion, house.another_version(-0.6), house.another_version(-0.7)
    for version in (first, second, third):
        house.deploy(version)
    body = {"actor": "ann", "expected_generation": 3}
    assert house.post(f"/models/{MODEL}/rollback", body, 201)["release"]["version"] == second
    again = house.post(f"/models/{MODEL}/rollback", body, 409)["error"]
    assert "generation 3 was expected to be served, but generation 4 is: a rollback by ann" in again
    assert house.served() == [first, second, third, second]
    assert house.post(f"/models/{MODEL}/rollback", {**body, "expected_generation": 0}, 422)["field"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_page_in_the_same_browser_cannot_act(house: House, kind: str) -> None:
    """What a page of another site may send without asking first is refused, wherever something would be done."""
    house.deploy()
    house.deploy(house.another_version(-0.6))
    body = b'{"actor": "ann", "model": "toy", "reason": "please"}'
    for path in (
        "/triggers",
        f"/models/{MODEL}/rollback",
        f"/models/{MODEL}/deployments",
        "/runs/x/approve",
        "/runs/x/reject",
        "/causes/x/acknowledge",
    ):
        answer = house.client.post(path, content=body, headers={"Content-Type": kind} if kind else {})
        assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type"), path
    assert len(house.served()) == 2
    assert house.get("/runs")["runs"] == []
    said = house.client.post(
        f"/models/{MODEL}/rollback",
        content=b'{"actor": "ann"}',
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert said.status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # A foreign name that resolves to this machine: to the browser the page is then one of ours.
        ({"Host": "evil.example:8003", "Origin": "http://evil.example:8003"}, 421),
        ({"Host": "evil.example/metrics?"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_act_whatever_it_sends(
    house: House, headers: dict[str, str], status: int
) -> None:
    house.deploy()
    house.deploy(house.another_version(-0.6))
    deps = [
        path.replace("{model}", MODEL)
        for path, ways in house.client.get("/openapi.json").json()["paths"].items()
        if "post" in ways
    ]
    assert len(deps) == 6
    for path in deps:
        answer = house.client.post(path, json={"actor": "ann"}, headers=headers)
        assert answer.status_code == status, path
        assert ("HOMEOSTAT_RETRAINING_NAMES" in answer.json().get("hint", "")) == (status == 421)
    assert len(house.served()) == 2


def test_metrics_are_answered_while_the_ledger_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is when they are looked at; and no figure of the ledger stands there as if it held."""
    house.deploy()
    before = house.client.get("/metrics").text
    assert "homeostat_retraining_ledger_up 1.0" in before
    assert f'homeostat_retraining_generation{{model="{MODEL}"}} 1.0' in before

    def away() -> MetricsSnapshot:
        raise DependencyUnavailable("the ledger is away")

    with monkeypatch.context() as patch:
        patch.setattr(house.service.deps.ledger, "metrics_snapshot", away)
        answer = house.client.get("/metrics")
    assert answer.status_code == 200
    assert "homeostat_retraining_ledger_up 0.0" in answer.text
    assert "homeostat_retraining_listening 0.0" in answer.text
    assert "homeostat_retraining_generation{" not in answer.text
    assert "homeostat_retraining_runs_open NaN" in answer.text
    assert house.client.get("/metrics").text.count("homeostat_retraining_ledger_up 1.0") == 1


def test_the_ledger_is_shown_under_names_of_ours_and_figures_under_any(house: House) -> None:
    foreign = {"Host": "evil.example"}
    closed = [
        path
        for path, ways in house.client.get("/openapi.json").json()["paths"].items()
        if "get" in ways and path not in ("/metrics", "/health/live", "/health/ready")
    ]
    assert len(closed) == 9
    for path in closed:
        assert house.client.get(path, headers=foreign).status_code == 421, path
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert house.client.get(path, headers=foreign).status_code == 200, path


def test_a_service_is_known_by_the_names_it_is_given(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"names": "retraining, loop.example"})
    world = make_world(tmp_path, days=2)
    with TestClient(build(world.settings, settings).app, base_url="http://retraining:8003") as client:
        body = alertmanager(alert())
        assert client.post("/triggers", json=body).status_code == 202
        assert client.post("/triggers", json=body, headers={"Host": "loop.example"}).status_code == 202
        assert client.post("/triggers", json=body, headers={"Host": "loop.evil.example"}).status_code == 421


def test_a_person_acknowledges_a_decision_once(house: House) -> None:
    house.deploy()
    key = house.service.controller.handle_cause(
        Cause.of_verdict(house.world.verdict(15, state="data_fault"))
    ).cause_key
    [before] = house.get("/decisions")["decisions"]
    assert (before["needs_acknowledgement"], before["acknowledged"]) == (True, None)
    assert 'unacknowledged_decisions{model="toy"} 1.0' in house.client.get("/metrics").text

    path = f"/causes/{key}/acknowledge"
    done = house.post(path, {"actor": "ann", "note": "sensor replaced"}, 200)
    assert (done["cause_key"], done["actor"], done["note"]) == (key, "ann", "sensor replaced")
    assert house.post(path, {"actor": "bob"}, 200) == done
    [after] = house.get("/decisions")["decisions"]
    said = {name: done[name] for name in ("actor", "note", "at")}
    assert (after["needs_acknowledgement"], after["acknowledged"]) == (True, said)
    assert house.get(f"/causes/{key}/why")["decision"]["acknowledged"] == said
    assert 'unacknowledged_decisions{model="toy"} 0.0' in house.client.get("/metrics").text


def test_a_person_acknowledges_a_decision_and_those_before_it(house: House) -> None:
    house.deploy()
    keys = [
        house.service.controller.handle_cause(
            Cause.of_verdict(house.world.verdict(day, state="data_fault"))
        ).cause_key
        for day in range(10, 15)
    ]
    [group] = house.get("/decisions?limit=1")["unacknowledged"]
    assert (group["issue"], group["count"], group["newest_key"]) == ("data_fault", 5, keys[4])
    assert house.get("/decisions?model=other")["unacknowledged"] == []
    body = {"actor": "ann", "and_older": True, "issue": "data_fault", "expected_older": 1}
    assert "nothing was acknowledged" in house.post(f"/causes/{keys[2]}/acknowledge", body, 409)["error"]
    assert 'unacknowledged_decisions{model="toy"} 5.0' in house.client.get("/metrics").text
    for expected in (2, 0):
        done = house.post(f"/causes/{keys[2]}/acknowledge", {**body, "expected_older": 2}, 200)
        assert done["acknowledged_older"] == expected
    assert 'unacknowledged_decisions{model="toy"} 2.0' in house.client.get("/metrics").text
    other = {"actor": "ann", "and_older": True, "issue": "drift"}
    assert house.post(f"/causes/{keys[4]}/acknowledge", other, 200)["acknowledged_older"] == 0
    assert house.post(f"/causes/{keys[4]}/acknowledge", {"actor": "bob"}, 200)["acknowledged_older"] == 0
    [left] = house.get("/decisions")["unacknowledged"]
    assert (left["count"], left["newest_key"]) == (1, keys[3])
    assert (
        house.post(f"/causes/{keys[4]}/acknowledge", {"actor": "bob", "and_older": True}, 200)[
            "acknowledged_older"
        ]
        == 1
    )
    assert house.get("/decisions")["unacknowledged"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "actor"),
        ({"actor": ""}, "actor"),
        ({"actor": "a" * 201}, "actor"),
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
def test_an_acknowledgement_that_makes_no_sense_is_refused(
    house: House, body: dict[str, Any], field: str
) -> None:
    house.deploy()
    key = house.service.controller.handle_cause(
        Cause.of_verdict(house.world.verdict(15, state="data_fault"))
    ).cause_key
    assert house.post(f"/causes/{key}/acknowledge", body, 422)["field"] == field
    assert (
        "there is no cause nothing"
        in house.post("/causes/nothing/acknowledge", {"actor": "ann"}, 404)["error"]
    )
    assert house.get("/decisions")["decisions"][0]["acknowledged"] is None


def test_gauges_are_true_right_after_a_restart(open_house: Callable[..., House]) -> None:
    house = open_house(automation="approve")
    house.deploy()
    run_id = house.ask()["run_id"]
    house.wait_for_state(run_id, "waiting_for_approval")
    released = house.get(f"/models/{MODEL}/releases")["releases"][-1]["released_at"]
    gain = house.get(f"/runs/{run_id}")["gate"]["gain"]
    # Another process at the same home, which has done nothing yet.
    text = TestClient(build(house.world.settings, SETTINGS).app).get("/metrics").text
    shown = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("homeostat_retraining_")
    )
    expected = {
        'waiting_runs{model="toy"}': 1.0,
        "runs_open": 1.0,
        "oldest_working_run_age_seconds": 0.0,  # it waits for a person
        "listening": 0.0,
        'last_release_timestamp_seconds{model="toy"}': datetime.fromisoformat(released).timestamp(),
        'generation{model="toy"}': 1.0,
        'unacknowledged_decisions{model="toy"}': 0.0,
        'gate_gain{bound="estimate",model="toy"}': gain["mean"],
        'gate_gain{bound="lower",model="toy"}': gain["lower"],
        'gate_margin{model="toy"}': gain["lower"] - house.world.spec.gate.minimum_gain,
    }
    assert {name: float(shown[f"homeostat_retraining_{name}"]) for name in expected} == expected
    assert 0 < float(shown["homeostat_retraining_oldest_open_run_age_seconds"]) < 600


def test_the_age_of_the_oldest_run_at_work_knows_nothing_of_those_that_wait() -> None:
    metrics, now = RetrainingMetrics(), START
    hours = {"suggested": 30, "queued": 2, "training": 5, "waiting_for_approval": 40}
    runs = tuple(
        OpenRun(MODEL, state, now - timedelta(days=9), now - timedelta(hours=old))  # type: ignore[arg-type]
        for state, old in hours.items()
    )
    nothing = MetricsSnapshot((MODEL,), (), {}, {}, {}, 0)
    name = "homeostat_retraining_oldest_working_run_age_seconds"
    for shown, age in (
        (runs, 5.0),
        (runs[:2], 2.0),
        (runs[:1], 0.0),
        ((), 0.0),
    ):
        update_gauges(metrics, replace(nothing, open_runs=shown), now)
        assert metrics.registry.get_sample_value(name) == age * 3600
    update_gauges(metrics, replace(nothing, open_runs=runs), now - timedelta(days=1))
    assert metrics.registry.get_sample_value(name) == 0


@pytest.mark.parametrize("listen", [True, False])
def test_whether_verdicts_are_to_be_heard_is_told_also_while_none_can_be(
    tmp_path: Path, listen: bool
) -> None:
    settings = SETTINGS.model_copy(update={"listen": listen})
    metrics = build(make_world(tmp_path, days=2).settings, settings).deps.metrics.registry
    assert metrics.get_sample_value("homeostat_retraining_listening") == float(listen)
    assert metrics.get_sample_value("homeostat_retraining_listener_up") == 0


def test_the_end_of_a_run_counts_with_its_duration(open_house: Callable[..., House]) -> None:
    house = open_house(automation="suggest")
    house.deploy()
    run_id = house.service.controller.handle_cause(Cause.of_verdict(house.world.verdict(15))).run_id
    house.post(f"/runs/{run_id}/reject", {"actor": "ann"}, 200)
    text = house.client.get("/metrics").text
    assert 'homeostat_retraining_run_duration_seconds_count{outcome="rejected"} 1.0' in text
    assert 'homeostat_retraining_runs_total{model="toy",outcome="rejected"} 1.0' in text


def test_deploying_the_same_again_is_no_new_release(house: House) -> None:
    assert house.deploy()["new"] is True
    again = house.deploy(status=200)
    assert (again["new"], again["release"]["generation"]) == (False, 1)
    assert house.served() == [house.world.champion]


def test_a_deployment_that_makes_no_sense_is_refused_and_changes_nothing(
    house: House, tmp_path: Path
) -> None:
    assert "has no version" in house.deploy("f" * 64, status=404)["error"]
    assert house.deploy("short", status=422)["field"] == "version"
    assert house.deploy(status=422, actor="")["field"] == "actor"
    assert house.deploy(status=422, project_directory="relative/path")["field"] == "project_directory"
    assert "cannot be read" in house.deploy(status=422, project_directory=str(tmp_path))["error"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "loop.yaml").write_text(
        (house.world.project / "loop.yaml").read_text().replace("model: toy", "model: other")
    )
    assert house.deploy(status=422, project_directory=str(other))["field"] == "project_directory"
    stored = house.world.home / "models" / MODEL / "versions" / house.world.champion / "reference.parquet"
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert "another digest" in house.deploy(status=500)["error"]
    assert house.served() == []


def test_a_model_that_was_never_deployed_has_its_answer(house: House) -> None:
    answer = house.post("/triggers", {"model": "nothing", "reason": "please"}, 202)["causes"][0]
    assert (answer["action"], answer["reason_code"]) == ("wait", "no_project")


def test_the_failure_of_a_training_is_told_with_its_log(open_house: Callable[..., House]) -> None:
    house = open_house(retraining={"command": ["python", "train.py", "fail"]})
    house.deploy()
    run = house.wait_for_state(house.ask()["run_id"], "failed", "promoted")
    assert run["state"] == "failed"
    assert "exit code 3; its last lines:\nthe data looks odd" in run["reason"]
    assert (
        house.world.home / "runs" / run["run_id"] / "attempts" / "1" / "train.log"
    ).read_text() == "the data looks odd\n"


@pytest.mark.parametrize(
    ("how", "state", "told"),
    [
        ("hang", "failed", "exceeded its time limit of 3 s and was killed"),
        ("broken", "failed", "is not an ONNX model"),
        ("silent", "failed", "metrics.json cannot be read"),
        ("nan", "failed", "metrics.json is not valid JSON"),
        ("worse", "refused", "gain -"),
    ],
)
def test_a_training_that_goes_wrong_ends_its_run_and_serving_goes_on(
    open_house: Callable[..., House], how: str, state: str, told: str
) -> None:
    house = open_house(
        retraining={"command": ["python", "train.py", how], "time_limit": "3s" if how == "hang" else "60s"}
    )
    house.deploy()
    run = house.wait_for_state(house.ask()["run_id"], "failed", "promoted", "refused")
    assert (run["state"], told in run["reason"]) == (state, True), run["reason"]
    assert house.served() == [house.world.champion]
    # The loop is not stuck: another cause is decided anew.
    assert house.ask()["action"] == "retrain"


def test_cooldown_and_budget_hold_over_http(open_house: Callable[..., House]) -> None:
    policy = {
        "command": ["python", "train.py", "worse"],
        "cooldown": "3d",
        "budget": {"runs": 2, "per": "30d"},
    }
    house = open_house(retraining=policy)
    house.deploy()
    handle = house.service.controller.handle_cause
    first = handle(Cause.of_verdict(house.world.verdict(14)))
    house.wait_for_state(first.run_id, "refused")
    assert handle(Cause.of_verdict(house.world.verdict(15))).decision.reason_code == "cooling_down"
    second = handle(Cause("person", MODEL, "request", "please", event_time=START + timedelta(days=15)))
    house.wait_for_state(second.run_id, "refused")
    third = Cause("person 2", MODEL, "request", "please", event_time=START + timedelta(days=15))
    assert handle(third).decision.reason_code == "budget_spent"


def test_event_time_is_the_lakes_not_the_clocks(house: House) -> None:
    house.deploy()
    run_id = house.ask()["run_id"]
    assert house.get(f"/runs/{run_id}")["event_time"] == "2013-01-15T23:45:00+00:00"
    house.wait_for_state(run_id, "promoted")


def test_new_rows_are_counted_in_the_lake(open_house: Callable[..., House]) -> None:
    rows = 15 * 24 * 4
    house = open_house(retraining={"triggers": [{"when": "new_rows", "rows": rows + 1}]})
    house.deploy()
    done = house.service.controller.handle_cause(Cause.of_verdict(house.world.verdict(15, state="ok")))
    assert done.decision.reason == f"{rows} new rows with outcomes, required {rows + 1}"


def test_bad_requests_are_told_what_is_wrong(house: House) -> None:
    answer = house.client.post("/triggers", content=b"{not json", headers=JSON)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")
    assert house.post("/triggers", {"model": "toy"}, 422)["field"] == "reason"
    assert house.get("/runs?state=nonsense", 422)["field"] == "state"
    assert house.get("/runs?limit=0", 422)["field"] == "limit"
    assert "there is no run x" in house.get("/runs/x", 404)["error"]
    assert "there is no version" in house.get("/versions/abcdefgh/why", 404)["error"]
    assert "there is no route /nowhere" in house.get("/nowhere", 404)["error"]
    assert house.client.put("/triggers").status_code == 405
    too_big = house.client.post("/triggers", content=b" " * (SETTINGS.maximum_body_bytes + 1), headers=JSON)
    assert too_big.status_code == 413
    assert "bytes" in too_big.json()["error"]


def test_what_nobody_foresaw_shows_an_id_and_not_its_text(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(house.service.deps.ledger, "decisions", broken)
    with structlog.testing.capture_logs() as logs:
        answer = house.get("/decisions", 500)
    assert [entry["error_id"] for entry in logs if entry["event"] == "unknown_error"] == [answer["error_id"]]
    assert answer["error"] == UNKNOWN_ERROR
    assert len(answer["error_id"]) == 12


def test_the_ledger_learns_of_releases_a_crash_kept_from_it(house: House) -> None:
    house.deploy()
    version = house.another_version(-0.6)
    house.world.store.add_release(
        Release(
            model=MODEL, generation=2, version=version, reason="deployment", actor="ann", released_at=START
        )
    )
    assert house.service.deps.ledger.releases_of_version(version) == []
    house.service.controller.sync_releases()
    assert [entry["generation"] for entry in house.service.deps.ledger.releases_of_version(version)] == [2]


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    from shared.settings import HomeostatSettings

    (tmp_path / "home").write_text("in the way")
    with pytest.raises(OperatorError, match="home cannot be created"):
        build(HomeostatSettings(home=tmp_path / "home"), SETTINGS)
