"""Kinds of models through the whole loop on one stack: ten classes, texts, several values per row, embeddings,
and times beside one matrix.

Answers and outcomes are as the kind has them, their drift is measured, and a better version is trained and served.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from homeostat import Client
from shared.stores.lake import Lake
from tests.e2e.arrival_ranges import NAMES, ArrivalRanges
from tests.e2e.hourly_loop import BEGINS
from tests.e2e.order_times import OrderTimes
from tests.e2e.short_loop import ShortLoop, until
from tests.e2e.ten_classes import TenClasses
from tests.e2e.text_reviews import TextReviews
from tests.e2e.word_vectors import SIZE, WordVectors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running stack without models."""
    folder = tmp_path_factory.mktemp("kinds")
    stack = ShortLoop(folder)
    with pytest.MonkeyPatch.context() as patch:
        # No test here reads MLflow, which takes retraining three CPU seconds.
        patch.setenv("HOMEOSTAT_RETRAINING_MLFLOW", "false")
        stack.start()
    try:
        yield folder
    finally:
        stack.end()


def test_ten_classes_go_round_the_loop(stack: Path) -> None:
    loop = TenClasses(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    answered = loop.last["predictions"][0]
    assert set(answered) == {"prediction_id", "label", "score", "scores"}
    assert answered["scores"][str(answered["label"])] == answered["score"] == max(answered["scores"].values())
    assert list(answered["scores"]) == [str(digit) for digit in range(10)]

    refused = loop.post("inference", "/outcomes", {"prediction_id": answered["prediction_id"], "value": 10})
    assert (refused.status_code, refused.json()["expected"]) == (422, "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")

    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    reported = run["gate"]["reported"]
    assert reported["champion"]["accuracy"] < 0.3 < 0.8 < reported["challenger"]["accuracy"]
    assert reported["champion"]["macro_f1"] < reported["challenger"]["macro_f1"]
    sound, *turned = loop.verdicts_of(1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert all({"prediction", "performance"} <= set(verdict["drifted"]) for verdict in turned)
    [labels] = [score for score in turned[0]["scores"] if score["signal"] == "prediction"]
    assert (labels["method"], labels["exceeded"]) == ("jensenshannon", True)
    assert turned[0]["loss"] > 2 > sound["loss"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: loop.verdicts_of(2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    compared = until(lambda: loop.comparison(again), 40, "the first version is compared")
    assert compared["served_loss"] < 1 < compared["baseline_loss"]

    why = loop.homeostat("why", answered["prediction_id"])
    row = why["prediction"]
    assert (row["label"], row["scores"]) == (answered["label"], pytest.approx(answered["scores"]))
    assert isinstance(row["outcome"], int)
    assert why["version"]["model"] == loop.model


def test_texts_go_round_the_loop(stack: Path) -> None:
    loop = TextReviews(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    sound, *turned = loop.verdicts_of(1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert {score["method"] for score in sound["scores"] if score["feature"] == "review"} >= {
        "wasserstein.length",
        "missing_share.length",
    }
    # A town that the reference lacks is drift, and its rows are served; it is no data fault.
    assert all(verdict["state"] == "drift" for verdict in turned)
    assert all({"feature", "performance"} <= set(verdict["drifted"]) for verdict in turned)
    assert turned[0]["top_drifted_features"] == ["town"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: loop.verdicts_of(2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    assert again["loss"] < sound["loss"] + 0.2 < turned[0]["loss"]
    answered = loop.last["predictions"][0]
    why = loop.homeostat("why", answered["prediction_id"])
    assert why["prediction"]["score"] == pytest.approx(answered["score"])
    assert why["version"]["origin"]["kind"] == "run"


def test_several_values_go_round_the_loop(stack: Path) -> None:
    loop = ArrivalRanges(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    answered = loop.last["predictions"][0]
    assert set(answered) == {"prediction_id", "values"}
    assert tuple(answered["values"]) == NAMES

    one = {"prediction_id": answered["prediction_id"], "value": {"low": 1.0, "mid": 2.0}}
    refused = loop.post("inference", "/outcomes", one)
    expected = 'an object with a finite number for each name: {"low": …, "mid": …, "high": …}'
    assert (refused.status_code, refused.json()["expected"]) == (422, expected)

    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    sound, *turned = loop.verdicts_of(1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    methods = {score["method"] for score in sound["scores"] if score["signal"] == "prediction"}
    assert methods == {f"wasserstein.{name}" for name in NAMES}
    assert all(verdict["drifted"] == ["performance"] for verdict in turned)
    assert turned[0]["loss"] > 10 > 2 > sound["loss"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: loop.verdicts_of(2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    compared = until(lambda: loop.comparison(again), 40, "the first version is compared")
    assert compared["served_loss"] < 2 < 10 < compared["baseline_loss"]
    assert compared["metric"] == "mae"

    row = loop.homeostat("why", answered["prediction_id"])["prediction"]
    assert row["values"] == pytest.approx(answered["values"])
    assert set(row["outcome"]) == set(NAMES)


def test_embeddings_are_served_logged_and_watched(stack: Path) -> None:
    loop = WordVectors(stack)
    loop.deploy_version(1)
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.ask(0, 1, turned=False)
    answered = loop.last["predictions"][0]
    assert set(answered) == {"prediction_id", "embedding"}
    assert len(answered["embedding"]) == SIZE

    inputs = [{"name": name, "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]} for name in ("x", "y")]
    asked = {"inputs": inputs, "parameters": {"event_time": BEGINS.isoformat()}}
    infer = loop.post("inference", "/v2/models/vectors/infer", asked)
    output = infer.json()["outputs"][0]
    assert (output["datatype"], output["shape"]) == ("FP32", [2, SIZE])

    refused = loop.post("inference", "/outcomes", {"prediction_id": answered["prediction_id"], "value": 1})
    assert refused.status_code == 422
    assert "of kind embedding" in refused.json()["error"]

    loop.ask(1, 2, turned=True)
    sound, turned = until(lambda: found if len(found := loop.verdicts_of(1)) == 2 else [], 40, "two verdicts")
    assert (sound["state"], sound["loss"], sound["outcomes"]) == ("ok", None, 0)
    assert (turned["state"], turned["drifted"]) == ("drift", ["feature"])
    decision = until(lambda: loop.decision_on(turned["verdict_id"]), 20, "the verdict is decided on")
    assert decision["reason_code"] == "observe_only"

    logged = Lake(str(loop.home / "lake")).read_predictions(
        "vectors", BEGINS, BEGINS + timedelta(days=1), ["scores", "score"]
    )
    assert np.stack(logged["scores"].to_numpy()).shape[1] == SIZE
    assert logged["score"].null_count == logged.num_rows

    loop.deploy_version(2)
    until(lambda: loop.serves(2), 30, "the new version is served")
    loop.ask(3, 1, turned=False)
    assert loop.last["generation"] == 2
    why = loop.homeostat("why", answered["prediction_id"])
    assert why["prediction"]["embedding"] == pytest.approx(answered["embedding"])


def test_times_and_a_matrix_go_round_the_loop(stack: Path) -> None:
    loop = OrderTimes(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    [row], _ = loop.rows(1, turned=False)
    with Client(loop.url("inference"), loop.model) as client:
        [answered] = client.predict([row], event_time=loop.event_times[0])
    body = {
        "model": loop.model,
        "rows": [{**row, "ordered_at": "2026-02-01T05:00", "shop_opened_at": "2012-05-02T00:00:00Z"}],
    }
    refused = loop.post("inference", "/predict", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "ordered_at")
    assert refused.json()["error"] == "`ordered_at` is '2026-02-01T05:00', without an offset from UTC"

    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    sound, *turned = loop.verdicts_of(1)
    # All orders are later than those of the reference, and no older.
    measured = {
        score["feature"]: score["method"] for score in sound["scores"] if score["signal"] == "feature"
    }
    assert measured["ordered_at"] == "wasserstein.age"
    assert measured["shop_opened_at"].startswith("wasserstein")
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert all("performance" in verdict["drifted"] for verdict in turned)
    assert not any("feature" in verdict["drifted"] for verdict in turned), turned[0]["explanation"]
    until(lambda: loop.serves(2), 20, "the new version is served")
    replayed = loop.replay(BEGINS + timedelta(hours=24), 20)
    assert (replayed["answered"], replayed["refused"]) == (20, 0)
    logged = loop.homeostat("why", answered.prediction_id)["prediction"]
    assert datetime.fromisoformat(logged["f_ordered_at"]) == row["ordered_at"]
    assert datetime.fromisoformat(logged["f_shop_opened_at"]) == row["shop_opened_at"]
