"""Attacks on the loop itself, each with its outcome. docs/security.md says which other tests cover the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.run_states import ENDS
from shared.access.installation_keys import ALERTMANAGER, key_path, read_key_text
from shared.access.scope import Scope
from shared.contracts.lake_schema import OUTCOME_COLUMNS, SENDER, partition_of
from shared.files import write_atomic
from shared.messaging.record_mac import RecordMac
from shared.messaging.verdict_attestation import attest
from shared.models.signed_versions.key_files import record_secrets
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import MODEL, START, make_installation
from tests.unit.services.retraining.triggers.test_webhooks import alert, alertmanager

BUDGET_RUNS = 2


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RetrainingApp]:
    installation = make_installation(
        tmp_path,
        days=15,
        automation="suggest",
        retraining={"budget": {"runs": BUDGET_RUNS, "per": "30d"}, "cooldown": "0s"},
    )
    service = build(installation.settings, SETTINGS, open_model=open_in_process)
    client = TestClient(
        service.app,
        base_url="http://127.0.0.1:8003",
        headers=installation.headers,
        raise_server_exceptions=False,
    )
    with client:
        yield RetrainingApp(installation, service, client)


def state_of(app: RetrainingApp) -> Any:
    """What an attack may not change."""
    return app.get("/runs"), app.get("/decisions"), app.served(), app.installation.trainings()


def test_forged_alert_starts_nothing(app: RetrainingApp) -> None:
    app.deploy()
    before = state_of(app)
    body = alertmanager(alert())
    del app.client.headers["Authorization"]
    assert app.client.post("/triggers", json=body).status_code == 401
    reader = app.key("reader", Scope.READ, Scope.PREDICT, Scope.OUTCOMES)
    assert app.client.post("/triggers", json=body, headers=reader).status_code == 403
    app.client.headers.update(app.installation.headers)
    assert state_of(app) == before


def test_alert_raised_at_alertmanager_starts_nothing(app: RetrainingApp) -> None:
    """Alertmanager has no login, and sends what it receives on with its key: only what drift has attested counts."""
    app.deploy()
    headers = {
        "Authorization": f"Bearer {read_key_text(key_path(app.installation.home, ALERTMANAGER))}",
    }
    before = state_of(app)
    verdict = app.installation.verdict(1)
    notes = {"verdict_id": verdict.verdict_id, "version": verdict.version, "verdict_state": verdict.state}
    mac = RecordMac(record_secrets(app.installation.keys.verdicts))
    right = attest(mac, MODEL, verdict.verdict_id, verdict.version, verdict.state)
    forged = [
        {},
        notes,
        notes | {"verdict_mac": right[:-1] + ("0" if right[-1] != "0" else "1")},
        notes | {"verdict_mac": right, "verdict_id": "a" * 32},
        notes | {"verdict_mac": right, "version": "b" * 64},
    ]
    for forgery in forged:
        one = alert(labels={"alertname": "HomeostatDrift", "model": MODEL}, annotations=forgery)
        refused = app.client.post("/triggers", json=alertmanager(one), headers=headers)
        assert (refused.status_code, "verdict_mac" in refused.json()["error"]) == (422, True), refused.text
    own = app.client.post("/triggers", json={"model": MODEL, "reason": "please"}, headers=headers)
    assert own.status_code == 422, own.text
    assert state_of(app) == before

    genuine = alert(
        labels={"alertname": "HomeostatDrift", "model": MODEL}, annotations=notes | {"verdict_mac": right}
    )
    for _ in range(2):
        answer = app.client.post("/triggers", json=alertmanager(genuine), headers=headers)
        assert answer.status_code == 202, answer.text
    assert [one["cause_key"] for one in app.get("/decisions")["decisions"]] == [verdict.verdict_id]


def test_question_whether_one_may_deploy_changes_nothing(app: RetrainingApp) -> None:
    """`homeostat deploy` asks it before it trains: the access check comes before the body is read."""
    before = app.get("/runs"), app.get("/decisions")
    assert app.client.post("/models/any/deployments", json={}).status_code == 422
    client = app.key("shop", Scope.PREDICT)
    assert app.client.post("/models/any/deployments", json={}, headers=client).status_code == 403
    assert (app.get("/runs"), app.get("/decisions")) == before


def test_folder_of_a_stranger_is_not_deployed(app: RetrainingApp, tmp_path: Path) -> None:
    """Who may write to a folder could otherwise run programs as retraining."""
    app.deploy()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for file in ("loop.yaml", "train.py"):
        (theirs / file).write_bytes((app.installation.project / file).read_bytes())
    (theirs / "train.py").chmod(0o666)
    before = app.get(f"/models/{MODEL}/releases")
    refused = app.deploy(status=422, project_directory=str(theirs))
    assert "can be written by every user" in refused["error"]
    assert refused["field"] == "project_directory"
    assert app.get(f"/models/{MODEL}/releases") == before
    (theirs / "train.py").chmod(0o644)
    app.deploy(status=200, project_directory=str(theirs))
    changes = app.get(f"/models/{MODEL}/releases")["project_folders"]
    assert [(one["before"], one["directory"], one["actor"]) for one in changes] == [
        ("", str(app.installation.project), "ann (local)"),
        (str(app.installation.project), str(theirs), "ann (local)"),
    ]


def test_flood_of_drift_cannot_start_more_than_the_budget(app: RetrainingApp) -> None:
    app.deploy()
    for day in range(1, 15):
        app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(day)))
    suggested = [run for run in app.get("/runs")["runs"] if run["state"] == "suggested"]
    approver = app.key("approver", Scope.READ, Scope.APPROVE)
    started = [
        app.client.post(f"/runs/{run['run_id']}/approve", json={}, headers=approver).status_code
        for run in suggested
    ]
    assert started.count(200) <= BUDGET_RUNS
    assert len(app.get("/decisions", 200)["decisions"]) == 14


@pytest.mark.parametrize(
    "body",
    [
        {"model": MODEL, "reason": "please", "actor": "somebody"},
        {
            "alerts": [
                {
                    "labels": {"alertname": "Forged", "model": MODEL},
                    "startsAt": "2026-01-16T00:00:00Z",
                    "generatorURL": "somebody",
                }
            ]
        },
    ],
)
def test_requester_cannot_approve(app: RetrainingApp, body: dict[str, Any]) -> None:
    """One stolen key of an operator who also approves releases nothing."""
    app.deploy()
    both = app.key("both", Scope.READ, Scope.OPERATE, Scope.APPROVE)
    other = app.key("other", Scope.READ, Scope.APPROVE)
    asked = app.client.post("/triggers", json=body, headers=both).json()["causes"][0]
    app.wait_for_state(asked["run_id"], "waiting_for_approval", "suggested")
    path = f"/runs/{asked['run_id']}/approve"
    for claimed in ("", "else", "both"):
        refused = app.client.post(path, json={"actor": claimed}, headers=both)
        assert refused.status_code == 403, refused.text
        assert "another person" in refused.json()["error"]
    assert len(app.served()) == 1
    assert app.client.post(path, json={}, headers=other).status_code == 200


@pytest.mark.parametrize("file", ["model.onnx", "reference.parquet", "manifest.json"])
def test_swapped_version_is_not_released(app: RetrainingApp, file: str) -> None:
    """Model, reference rows or manifest of a stored version, replaced by those of another."""
    app.deploy()
    other = app.another_version(0.1)
    folders = app.installation.home / "models" / MODEL / "versions"
    before = app.served()
    target, source = folders / other / file, folders / app.installation.champion / file
    write_atomic(target, source.read_bytes() + (b"" if file != "reference.parquet" else b" "))
    refused = app.client.post(f"/models/{MODEL}/deployments", json={"version": other})
    assert refused.status_code >= 400, refused.text
    assert app.served() == before


def poison(app: RetrainingApp, first_day: int, last_day: int, share: float) -> int:
    """Corrections that the key `shop` with the scope `outcomes` sends: outcomes turned into their opposite. Returns how many."""
    lake, start = app.installation.lake, START + timedelta(days=first_day)
    honest = lake.read_joined(MODEL, start, START + timedelta(days=last_day), with_outcome=True)
    chosen = np.random.default_rng(11).random(honest.num_rows) < share
    rows = honest.filter(pa.array(chosen)).select(["prediction_id", "outcome", "observed_at"])
    later = [moment + timedelta(minutes=1) for moment in rows["observed_at"].to_pylist()]
    columns: dict[str, Any] = {
        "prediction_id": rows["prediction_id"],
        "value": [1.0 - value for value in rows["outcome"].to_pylist()],
        "observed_at": later,
        "received_at": later,
        "writer": ["w"] * rows.num_rows,
        "epoch": [2] * rows.num_rows,
        "sequence": list(range(rows.num_rows)),
        "traceparent": [""] * rows.num_rows,
    }
    table = pa.table({field.name: columns[field.name] for field in OUTCOME_COLUMNS}).cast(OUTCOME_COLUMNS)
    table = table.append_column(SENDER, pa.array(["shop"] * rows.num_rows))
    month = pa.array([partition_of(time) for time in later])
    write_deltalake(
        lake.outcomes(MODEL),
        table.append_column("month", month),
        partition_by=["month"],
        mode="append",
        schema_mode="merge",
    )
    return int(rows.num_rows)


@pytest.fixture
def served_well(tmp_path: Path) -> Iterator[tuple[RetrainingApp, str]]:
    """A month of honest rows and a good champion; versions that pass the gate are released without a person."""
    installation = make_installation(tmp_path, days=30, automation="auto", retraining={"cooldown": "0s"})
    service = build(installation.settings, SETTINGS, open_model=open_in_process)
    headers = installation.headers
    client = TestClient(service.app, base_url="http://127.0.0.1:8003", headers=headers)
    with client:
        app = RetrainingApp(installation, service, client)
        champion = app.another_version(2.0)
        app.deploy(champion)
        yield app, champion


def retrained(app: RetrainingApp, champion: str) -> dict[str, Any]:
    """The run that a verdict about the last day starts, when it has ended."""
    cause = Cause.of_verdict(app.installation.verdict(30, version=champion))
    return app.wait_for_state(app.service.controller.handle_cause(cause).run_id, *ENDS)


def test_poisoned_training_rows_are_left_out(served_well: tuple[RetrainingApp, str]) -> None:
    """30 % of the outcomes of a week, turned into their opposite: nothing is trained on them, and nothing is released."""
    app, champion = served_well
    corrections = poison(app, 15, 22, 0.3)
    assert corrections > 200
    run = retrained(app, champion)
    assert run["state"] == "refused"
    snapshot = app.get(f"/runs/{run['run_id']}/why")["snapshot"]
    assert snapshot["contradicted_train_rows"] == corrections
    assert app.served() == [champion]


def test_challenger_is_not_judged_by_a_poisoned_holdout(served_well: tuple[RetrainingApp, str]) -> None:
    """Without the bound, the gate would believe the outcomes that came last, and release what fits them."""
    app, champion = served_well
    assert poison(app, 23, 30, 0.3) > 200
    run = retrained(app, champion)
    assert run["state"] == "abandoned"
    assert re.search(
        r"the holdout cannot be judged: \d+ of \d+ outcomes contradict .*; they were sent by unknown \(\d+\), shop",
        run["reason"],
    ), run["reason"]
    assert app.served() == [champion]


def test_poison_of_an_excluded_sender_is_no_poison(served_well: tuple[RetrainingApp, str]) -> None:
    """Who sent it is known: the project says so, and the next runs train and judge on what the others sent."""
    app, champion = served_well
    assert poison(app, 15, 30, 0.3) > 200
    assert retrained(app, champion)["state"] == "abandoned"
    clean = app.another_version(1.9, excluded_senders=["shop"])
    app.deploy(clean)
    cause = Cause.of_verdict(app.installation.verdict(30, version=clean))
    run = app.wait_for_state(app.service.controller.handle_cause(cause).run_id, *ENDS)
    assert run["state"] in ("promoted", "refused"), run["reason"]
    why = app.get(f"/runs/{run['run_id']}/why")
    assert why["snapshot"]["contradicted_train_rows"] == 0
    assert why["snapshot"]["contradictions"] == ""


def test_few_poisoned_outcomes_of_the_holdout_release_nothing(served_well: tuple[RetrainingApp, str]) -> None:
    """As many as the bound lets pass: too few for the gate to prefer what fits them."""
    app, champion = served_well
    assert poison(app, 23, 30, 0.05) > 20
    run = retrained(app, champion)
    assert run["state"] == "refused", run["reason"]
    assert app.served() == [champion]
