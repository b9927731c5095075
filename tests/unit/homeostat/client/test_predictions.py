from __future__ import annotations

from homeostat.client.predictions import Predictions

REPLY = {
    "model": "animals",
    "version": "ab" * 32,
    "generation": 2,
    "predictions": [
        {"prediction_id": "p", "label": "dog", "score": 0.625, "scores": {"dog": 0.625}, "margin": 0.5},
        {"prediction_id": "q", "output": [[1.0]]},
        {"prediction_id": "r", "values": {"low": 1.0}},
        {"prediction_id": "s", "embedding": [1.0, 2.0]},
    ],
}


def test_fields_of_every_kind_are_kept() -> None:
    first, second, third, fourth = Predictions.from_reply(REPLY)
    assert (first.label, first.score, first.scores, first.output) == ("dog", 0.625, {"dog": 0.625}, None)
    assert (second.label, second.score, second.output) == (None, None, [[1.0]])
    assert (third.values, third.embedding, fourth.embedding) == ({"low": 1.0}, None, [1.0, 2.0])
    assert (second.version, second.generation, second.model) == ("ab" * 32, 2, "animals")


def test_unknown_fields_are_passed_through() -> None:
    predictions = Predictions.from_reply(REPLY)
    assert predictions[0].extra == {"margin": 0.5}
    assert predictions.column("margin") == [0.5, None, None, None]
    assert predictions.column("prediction_id") == ["p", "q", "r", "s"]
