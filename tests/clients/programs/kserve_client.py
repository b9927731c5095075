"""What KServe's client gets from a server, as JSON. Runs in an environment of its own; the argument is the server's URL."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

VALUES = {
    "amount": (np.array([1.0, 2.0], np.float32), "FP32"),
    "count": (np.array([1, 2], np.int64), "INT64"),
    "member": (np.array([True, False]), "BOOL"),
    "colour": (np.array(["red", "green"], object), "BYTES"),
}


def tensor(name: str, array: Any, datatype: str, *, binary: bool) -> InferInput:
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def inputs(*, binary: bool) -> list[InferInput]:
    return [tensor(name, *value, binary=binary) for name, value in VALUES.items()]


def with_key(request: httpx.Request) -> httpx.Request:
    """The API key, if there is one."""
    if key := os.environ.get("HOMEOSTAT_API_KEY"):
        request.headers["Authorization"] = f"Bearer {key}"
    return request


async def main(url: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=20, auth=with_key))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "toy is ready": await client.is_model_ready(url, "toy"),
        "nobody is ready": await client.is_model_ready(url, "nobody"),
    }
    for binary in (False, True):
        for binary_output in (None, False, True):
            outputs = binary_output is not None and [
                RequestedOutput("score", {"binary_data": binary_output}),
                RequestedOutput("prediction_id", {"binary_data": binary_output}),
            ]
            request = InferRequest(
                "toy", inputs(binary=binary), request_id="seven", request_outputs=outputs or None
            )
            answer = await client.infer(url, request, model_name="toy")
            ids = answer.get_output_by_name("prediction_id").as_numpy().tolist()
            found[f"binary {binary}, output {binary_output}"] = {
                "id": answer.id,
                "model": answer.model_name,
                "score": answer.get_output_by_name("score").as_numpy().tolist(),
                "prediction_ids": [one.decode() if isinstance(one, bytes) else one for one in ids],
            }
    pixels = np.arange(6, dtype=np.float16).reshape(1, 2, 3)
    request = InferRequest("pixels", [tensor("image", pixels, "FP16", binary=True)])
    found["half floats"] = (
        (await client.infer(url, request, model_name="pixels")).outputs[0].as_numpy().tolist()
    )
    wrong = [tensor("count", np.array([1.0], np.float32), "FP32", binary=False), *inputs(binary=False)]
    for name, (model, tensors) in {
        "unknown model": ("nobody", wrong[:1]),
        "wrong datatype": ("toy", wrong[:1]),
    }.items():
        try:
            await client.infer(url, InferRequest(model, tensors), model_name=model)
        except httpx.HTTPStatusError as error:
            found[name] = str(error)
    await client.close()
    return found


print(json.dumps(asyncio.run(main(sys.argv[1]))))
