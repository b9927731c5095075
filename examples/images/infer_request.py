"""A request of the Open Inference Protocol with pictures as bytes after the JSON, which are smaller than numbers in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson


@dataclass(frozen=True)
class Request:
    """Body and headers for `POST /v2/models/{model}/infer`."""

    content: bytes
    headers: dict[str, str]


def infer_request(pictures: npt.NDArray[np.uint16], event_time: datetime) -> Request:
    """Pictures [N, 3, 64, 64], as UINT8 if all are at most 255, else as UINT16."""
    wide = bool(pictures.max(initial=0) > 255)
    data = pictures.astype("<u2" if wide else "u1").tobytes()
    tensor = {
        "name": "image",
        "shape": list(pictures.shape),
        "datatype": "UINT16" if wide else "UINT8",
        "parameters": {"binary_data_size": len(data)},
    }
    outputs = [{"name": name} for name in ("prediction_id", "label")]
    document = {
        "inputs": [tensor],
        "outputs": outputs,
        "parameters": {"event_time": event_time.isoformat()},
    }
    head = orjson.dumps(document)
    return Request(head + data, {"Inference-Header-Content-Length": str(len(head))})


@dataclass(frozen=True)
class Answer:
    """Of each picture the id and the label, and the version that answered."""

    prediction_ids: tuple[str, ...]
    labels: tuple[str, ...]
    version: str


def read_answer(content: bytes) -> Answer:
    """Read a response of `infer_request`. Raises KeyError for one of another form."""
    document: dict[str, Any] = orjson.loads(content)
    outputs = {output["name"]: output["data"] for output in document["outputs"]}
    return Answer(tuple(outputs["prediction_id"]), tuple(outputs["label"]), str(document["model_version"]))
