"""Replies and log of a model with classes."""

from __future__ import annotations

import numpy as np

from tests.fakes.class_model import TABLE, serving_classes
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import LINES, embedding_loop, serving, values_loop


def test_reply_has_label_score_and_scores(toys: ToyStore) -> None:
    answer = serving_classes(toys).predict({"line": 1}, {"line": 0}).json()
    assert [list(row) for row in answer["predictions"]] == [["prediction_id", "label", "score", "scores"]] * 2
    assert answer["predictions"][0]["label"] == "dog"
    assert answer["predictions"][0]["score"] == 0.625
    assert answer["predictions"][0]["scores"] == {"cat": 0.25, "dog": 0.625, "bird": 0.125}
    assert answer["predictions"][1]["label"] == "cat"


def test_integer_labels_stay_integers(toys: ToyStore) -> None:
    row = serving_classes(toys, (3, 5, 8)).predict({"line": 1}).json()["predictions"][0]
    assert (row["label"], row["scores"]) == (5, {"3": 0.25, "5": 0.625, "8": 0.125})


def test_log_has_text_and_all_probabilities(toys: ToyStore) -> None:
    server = serving_classes(toys, (3, 5, 8))
    answer = server.predict({"line": 1}, {"line": 2}).json()
    (record,) = server.spool.predictions
    assert record["prediction_ids"] == [row["prediction_id"] for row in answer["predictions"]]
    assert record["scores"] == [0.625, 0.625]
    assert record["classes"].labels == ["5", "8"]
    np.testing.assert_array_equal(record["classes"].scores, TABLE[1:])


def test_other_kinds_are_logged_without_classes(toys: ToyStore) -> None:
    toys.put_and_release(0.5, kind="probability")
    server = InferenceServer(toys)
    row = {"amount": 1.5, "count": 2, "member": True, "colour": "red"}
    identity = server.predict(row).json()["predictions"][0]["prediction_id"]
    server.ask("POST", "/outcomes", json={"prediction_id": identity, "value": 1})
    assert server.spool.predictions[0]["classes"] is None
    assert server.spool.outcomes[0]["labels"] is None


def test_values_are_answered_by_name_and_logged_as_answered(toys: ToyStore) -> None:
    server = serving(toys, values_loop())
    row = server.predict({"line": 1}).json()["predictions"][0]
    assert set(row) == {"prediction_id", "values"}
    assert row["values"] == {"low": -1.0, "mid": 0.5, "high": 8.0}
    (record,) = server.spool.predictions
    assert (record["scores"], record["vectors"].tolist()) == (None, [[-1.0, 0.5, 8.0]])


def test_embeddings_are_answered_as_lists(toys: ToyStore) -> None:
    server = serving(toys, embedding_loop())
    rows = server.predict({"line": 2}, {"line": 0}).json()["predictions"]
    assert [row["embedding"] for row in rows] == [LINES[2].tolist(), LINES[0].tolist()]
    assert set(rows[0]) == {"prediction_id", "embedding"}
    (record,) = server.spool.predictions
    assert record["vectors"].dtype == np.float32
    np.testing.assert_array_equal(record["vectors"], LINES[[2, 0]])
