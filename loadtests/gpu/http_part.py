"""The network through HTTP, as binary tensors of the Open Inference Protocol, by several processes of load."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from loadtests.gpu.network import Network, images
from loadtests.load import Load, generate, post

_MAX_PROCESSES = 8


@dataclass(frozen=True)
class HttpLoad:
    """What came of it; latencies in seconds."""

    per_second: float
    p50: float
    p99: float
    errors: int


def load_server(port: int, network: Network, *, connections: int, seconds: float) -> HttpLoad:
    """One image per request, on so many keep-alive connections."""
    row = images(network, 1)
    tensor = {
        "name": "x",
        "shape": list(row.shape),
        "datatype": "FP32",
        "parameters": {"binary_data_size": row.nbytes},
    }
    outputs = [{"name": "y", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    request = post(f"/v2/models/{network.size.name}/infer", head + row.tobytes(), headers)
    processes = max(1, min(_MAX_PROCESSES, (os.cpu_count() or 2) // 2, connections))
    shares = [connections // processes + (number < connections % processes) for number in range(processes)]
    if processes == 1:
        loads = [_generate(port, request, connections, seconds)]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            loads = list(
                pool.map(_generate, [port] * processes, [request] * processes, shares, [seconds] * processes)
            )
    latencies = np.array([latency for load in loads for latency in load.latencies])
    errors = sum(load.errors for load in loads)
    if not len(latencies):
        return HttpLoad(0.0, float("inf"), float("inf"), max(1, errors))
    return HttpLoad(
        sum(load.per_second for load in loads),
        float(np.percentile(latencies, 50)),
        float(np.percentile(latencies, 99)),
        errors,
    )


def _generate(port: int, request: bytes, connections: int, seconds: float) -> Load:
    return generate("127.0.0.1", port, request, connections=connections, seconds=seconds)
