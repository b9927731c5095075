"""What MLServer's codecs send to a server and read from it, as JSON. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    RepositoryIndexResponse,
    RequestOutput,
)

URL = sys.argv[1]


def ask(path: str, body: str | None = None) -> str:
    data = None if body is None else body.encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def infer(model: str, request: InferenceRequest) -> InferenceResponse:
    return InferenceResponse.model_validate_json(ask(f"/v2/models/{model}/infer", request.model_dump_json()))


def output(response: InferenceResponse, name: str) -> Any:
    return next(one for one in response.outputs if one.name == name)


frame = pd.DataFrame(
    {
        "amount": [1.5, np.nan],
        "count": np.array([2, 3], np.int64),
        "member": [True, False],
        "colour": pd.Series(["red", "green"], dtype=object),
    }
)
of_frame = PandasCodec.encode_request(frame, use_bytes=False)
all_outputs = infer("toy", of_frame)
some = InferenceRequest(inputs=of_frame.inputs, outputs=[RequestOutput(name="score")])
columns = InferenceRequest(
    id="seven",
    inputs=[
        NumpyCodec.encode_input("count", np.array([[2], [3]], np.int32)),
        NumpyCodec.encode_input("member", np.array([[True], [False]])),
        StringCodec.encode_input("colour", ["red", "green"], use_bytes=False),
    ],
)
image = NumpyRequestCodec.encode_request(np.arange(12, dtype=np.float32).reshape(2, 2, 3))
image.inputs[0].name = "image"
line = InferenceRequest(inputs=[NumpyCodec.encode_input("line", np.array([2, 0]))])
by_columns, animals = infer("toy", columns), infer("animals", line)
index = RepositoryIndexResponse.model_validate_json(ask("/v2/repository/index", "{}"))
metadata = MetadataModelResponse.model_validate_json(ask("/v2/models/toy"))
print(
    json.dumps(
        {
            "frame": PandasCodec.decode_response(all_outputs).columns.tolist(),
            "frame scores": PandasCodec.decode_response(infer("toy", some))["score"].tolist(),
            "prediction_ids": StringCodec.decode_output(output(all_outputs, "prediction_id")),
            "columns": NumpyCodec.decode_output(output(by_columns, "score")).tolist(),
            "id": by_columns.id,
            "version": by_columns.model_version,
            "image": NumpyCodec.decode_output(output(infer("pixels", image), "score")).tolist(),
            "probabilities": NumpyCodec.decode_output(output(animals, "probabilities")).tolist(),
            "labels": StringCodec.decode_output(output(animals, "label")),
            "server": MetadataServerResponse.model_validate_json(ask("/v2")).name,
            "inputs": [one.name for one in metadata.inputs or []],
            "index": {one.name: one.state for one in index},
        }
    )
)
