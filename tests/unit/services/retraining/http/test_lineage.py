"""Lineage routes: from predictions, versions and runs back to the cause, and forward again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.retraining.cause import Cause
from services.retraining.http.lineage import _named, why_prediction
from shared.contracts.prediction import Prediction
from shared.spool.record import PredictionRecord
from shared.stores.lake import Lake
from tests.fakes.class_lake import START, append_records, fill_class_lake
from tests.fakes.class_model import put_classes
from tests.fakes.personal_model import put_personal
from tests.fakes.retraining_app import RetrainingApp
from tests.fakes.retraining_installation import MODEL
from tests.fakes.toy_model import ToyStore
from tests.fakes.values_lake import fill_values_lake
from tests.fakes.vector_model import LINES, NAMES, embedding_loop, put_vectors, values_loop


def empty_ledger() -> Any:
    """Of a version that was never released."""
    return SimpleNamespace(
        releases_of_version=lambda _: [],
        watches=SimpleNamespace(of_model=lambda _: []),
        first_comparisons=SimpleNamespace(current=list),
    )


def test_lineage_of_a_promoted_version(app: RetrainingApp) -> None:
    """The whole loop, then the chain version → run → snapshot → decision → cause."""
    app.deploy()
    verdict = app.installation.verdict(15, explanation="the loss rose")
    for _ in range(3):
        app.service.controller.handle_cause(Cause.of_verdict(verdict))
    [run] = app.get("/runs")["runs"]
    run = app.wait_for_state(run["run_id"], "promoted", "refused", "failed")
    assert run["state"] == "promoted", run["reason"]
    assert app.served() == [app.installation.champion, run["version"]]
    assert app.installation.trainings() == [run["run_id"]]

    response = app.get(f"/decisions?model={MODEL}")
    [decision] = response["decisions"]
    assert (decision["action"], decision["reason_code"], decision["run_id"]) == (
        "retrain",
        "drift",
        run["run_id"],
    )
    # The run resolved it: no acknowledgement is needed.
    assert (decision["needs_acknowledgement"], response["unacknowledged"]) == (False, [])
    assert decision["deliveries"] == 3

    why = app.get(f"/versions/{run['version'][:12]}/why")
    assert why["run"]["run_id"] == run["run_id"]
    assert why["snapshot"]["digest"] == run["snapshot"]["digest"]
    assert why["cause"]["verdict"]["explanation"] == "the loss rose"
    assert [entry["generation"] for entry in why["version"]["releases"]] == [2]
    assert why["predictions"] == {"count": 0, "first_event_time": None, "last_event_time": None}
    assert (why["decision"]["action"], why["decision"]["reason_code"]) == ("retrain", "drift")

    text = app.client.get("/metrics").text
    assert (
        'homeostat_retraining_decisions_total{action="retrain",model="toy",reason_code="drift"} 1.0' in text
    )
    assert 'homeostat_retraining_repeated_causes_total{model="toy"} 2.0' in text
    assert 'homeostat_retraining_runs_total{model="toy",outcome="promoted"} 1.0' in text
    assert 'homeostat_retraining_generation{model="toy"} 2.0' in text
    status = app.get("/status")
    assert (status["ready"], status["is_leader"], status["leader"]) == (True, True, "this process")


def test_lineage_of_a_prediction(app: RetrainingApp) -> None:
    app.deploy()
    assert "the lake has no prediction nothing" in app.get("/predictions/nothing/why", 404)["error"]
    from deltalake import DeltaTable, write_deltalake

    place = app.installation.lake.predictions(MODEL)
    rows = DeltaTable(place).to_pyarrow_table().slice(0, 1)
    row = rows.set_column(rows.schema.get_field_index("prediction_id"), "prediction_id", [["mine"]])
    row = row.set_column(row.schema.get_field_index("version"), "version", [[app.installation.champion]])
    write_deltalake(place, row, mode="append")
    why = app.get("/predictions/mine/why")
    assert why["prediction"]["prediction_id"] == "mine"
    assert why["version"]["version"] == app.installation.champion
    assert why["release"]["generation"] == 1
    assert why["version"]["origin"]["kind"] == "deployment"
    assert why["run"] is None


def add_predictions(app: RetrainingApp, version: str, count: int) -> list[str]:
    """The lake's first rows once more, as if `version` had answered them; their event times."""
    from deltalake import DeltaTable, write_deltalake

    place = app.installation.lake.predictions(MODEL)
    rows = DeltaTable(place).to_pyarrow_table().sort_by("event_time").slice(0, count)
    rows = rows.set_column(rows.schema.get_field_index("version"), "version", [[version] * count])
    write_deltalake(place, rows, mode="append")
    return [event_time.isoformat() for event_time in rows["event_time"].to_pylist()]


def test_lineage_from_run_and_cause_to_predictions(app: RetrainingApp) -> None:
    app.deploy()
    cause = app.request_run(key="mine")
    run = app.wait_for_state(cause["run_id"], "promoted")
    times = add_predictions(app, run["version"], 3)
    why = app.get(f"/causes/{cause['cause_key']}/why")
    assert (why["cause"]["key"], why["cause"]["reason"]) == (cause["cause_key"], "please")
    assert (why["decision"]["action"], why["decision"]["reason"]) == ("retrain", cause["reason"])
    assert (why["run"]["run_id"], why["snapshot"]) == (run["run_id"], run["snapshot"])
    assert why["version"]["version"] == run["version"]
    assert [entry["generation"] for entry in why["version"]["releases"]] == [2]
    assert why["predictions"] == {
        "count": 3,
        "first_event_time": times[0],
        "last_event_time": times[-1],
    }
    assert app.get(f"/runs/{run['run_id']}/why") == why


def test_lineage_of_a_cause_without_run(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="observe")
    app.deploy()
    cause = app.request_run()
    why = app.get(f"/causes/{cause['cause_key']}/why")
    assert (why["decision"]["action"], why["decision"]["reason_code"], "run" in why) == (
        "wait",
        "observe_only",
        False,
    )
    assert "there is no cause nothing" in app.get("/causes/nothing/why", 404)["error"]
    assert "there is no run run-nothing" in app.get("/runs/run-nothing/why", 404)["error"]


def test_lineage_of_a_run_without_version(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(retraining={"command": ["python", "train.py", "fail"]})
    app.deploy()
    run = app.wait_for_state(app.request_run()["run_id"], "failed")
    why = app.get(f"/runs/{run['run_id']}/why")
    assert (why["run"]["state"], why["version"], why["predictions"]) == ("failed", None, None)


@pytest.mark.parametrize(("labels", "outcome"), [(("cat", "dog", "bird"), "bird"), ((3, 5, 8), 8)])
def test_prediction_of_classes_is_shown_with_its_labels(
    tmp_path: Path, labels: tuple[int | str, ...], outcome: int | str
) -> None:
    toys = ToyStore(tmp_path)
    manifest = put_classes(toys, labels=labels)
    lake = Lake(str(tmp_path / "lake"))
    fill_class_lake(lake, manifest.loop, [1, 0], [outcome, None], version=manifest.version)
    ledger = empty_ledger()
    row = why_prediction(ledger, toys.store, lake, "p0")["prediction"]
    assert (row["label"], row["outcome"], row["score"]) == (labels[1], outcome, 0.625)
    assert row["scores"] == dict(zip(map(str, labels), [0.25, 0.625, 0.125], strict=True))
    assert why_prediction(ledger, toys.store, lake, "p1")["prediction"]["outcome"] is None


@pytest.mark.parametrize("name", ["customer", "Customer"])
def test_personal_values_are_not_shown(tmp_path: Path, name: str) -> None:
    """An earlier version may have spelled the feature in another way: the lake has one column of both."""
    toys = ToyStore(tmp_path)
    manifest = put_personal(toys)
    lake = Lake(str(tmp_path / "lake"))
    record = PredictionRecord(
        model="loans", sequence=0, version=manifest.version, generation=1, event_time=START, answered_at=START,
        prediction_ids=["p0"], scores=[0.5], columns={name: ["anna"], "amount": [2.0]},
    )  # fmt: skip
    append_records(lake, "loans", [record], [])
    ledger = empty_ledger()
    row = why_prediction(ledger, toys.store, lake, "p0")["prediction"]
    assert (row[f"f_{name}"], row["f_amount"]) == ("(personal)", 2.0)


def test_prediction_names_the_class_of_its_score() -> None:
    row = {"score": 0.75, "label": None, "scores": None}
    assert _named(Prediction(kind="probability", positive="bad"), row) == {"score": 0.75, "positive": "bad"}
    assert _named(Prediction(kind="probability"), row) == {"score": 0.75}


def test_prediction_of_values_is_shown_by_name(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    manifest = put_vectors(toys, values_loop())
    lake = Lake(str(tmp_path / "lake"))
    outcomes = [dict.fromkeys(NAMES, 2.0), None]
    fill_values_lake(lake, manifest.loop, [0, 1], LINES, outcomes, version=manifest.version)
    ledger = empty_ledger()
    row = why_prediction(ledger, toys.store, lake, "p0")["prediction"]
    assert (row["values"], row["outcome"]) == (dict(zip(NAMES, [1.0, 2.0, 4.0], strict=True)), outcomes[0])
    assert not {"score", "scores", "label"} & set(row)
    assert why_prediction(ledger, toys.store, lake, "p1")["prediction"]["outcome"] is None


def test_prediction_of_an_embedding_is_shown_as_a_list(tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    manifest = put_vectors(toys, embedding_loop())
    lake = Lake(str(tmp_path / "lake"))
    fill_values_lake(lake, manifest.loop, [2], LINES[2:], [None], version=manifest.version)
    ledger = empty_ledger()
    row = why_prediction(ledger, toys.store, lake, "p0")["prediction"]
    assert row["embedding"] == LINES[2].tolist()
    assert not {"score", "scores", "label"} & set(row)
