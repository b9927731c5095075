"""Requests with pictures as bytes, and their answers."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import orjson
import pytest

from examples.images.infer_request import infer_request, read_answer

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(("factor", "datatype", "kind"), [(1, "UINT8", "u1"), (16, "UINT16", "<u2")])
def test_pictures_follow_the_json_as_bytes(factor: int, datatype: str, kind: str) -> None:
    pictures = (np.arange(24, dtype=np.uint16) * 11 % 256 * factor).reshape(2, 3, 2, 2)
    pictures[0, 0, 0, 0] = 255 * factor
    request = infer_request(pictures, NOON)
    length = int(request.headers["Inference-Header-Content-Length"])
    head = orjson.loads(request.content[:length])
    assert head["inputs"][0]["datatype"] == datatype
    assert head["inputs"][0]["shape"] == [2, 3, 2, 2]
    assert head["parameters"]["event_time"] == "2026-03-02T12:00:00+00:00"
    sent = np.frombuffer(request.content[length:], kind).reshape(2, 3, 2, 2)
    assert np.array_equal(sent, pictures)
    assert head["inputs"][0]["parameters"]["binary_data_size"] == sent.nbytes


def test_the_answer_names_ids_labels_and_version() -> None:
    content = orjson.dumps(
        {
            "model_version": "ab12",
            "outputs": [
                {"name": "label", "data": ["good", "open"]},
                {"name": "prediction_id", "data": ["x", "y"]},
            ],
        }
    )
    answer = read_answer(content)
    assert answer.prediction_ids == ("x", "y")
    assert answer.labels == ("good", "open")
    assert answer.version == "ab12"
