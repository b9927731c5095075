"""Memory of a server under ten minutes of mixed load."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from loadtests.load import post
from tests.fakes.paced_load import PacedLoad
from tests.fakes.socket_server import request
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("HOMEOSTAT_TEST_MEMORY_SECONDS", "600"))
WARM_SHARE = 0.2
PER_SECOND = 300
MAX_MIB = 8.0
MIB = 1 << 20


def mixed(server: InferenceProcess) -> list[bytes]:
    """Predictions by name and as tensors in JSON and binary, outcomes, and six kinds of errors."""

    def document(value: object) -> bytes:
        return json.dumps(value).encode()

    head = document(
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": [64, 4],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": 1024},
                }
            ]
        }
    )
    binary = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    tensor = {"name": "x", "shape": [2, 4], "datatype": "FP32", "data": list(range(8))}
    answer = server.http.post("/predict", json={"model": "toy", "rows": [ROW] * 20}).json()
    outcomes = [{"prediction_id": row["prediction_id"], "outcome": 1.0} for row in answer["predictions"]]
    return [
        request("/predict", document({"model": "toy", "rows": [ROW]})),
        request("/predict", document({"model": "toy", "rows": [ROW] * 64})),
        request("/v2/models/sums/infer", document({"inputs": [tensor]})),
        post("/v2/models/sums/infer", head + np.ones((64, 4), np.float32).tobytes(), binary),
        request("/outcomes", document({"model": "toy", "outcomes": outcomes})),
        request("/health/ready", b"", method="GET"),
        request("/status.json", b"", method="GET"),
        request("/metrics", b"", method="GET"),
        request("/predict", b"{no json"),
        request("/predict", document({"model": "toy", "rows": [{**ROW, "amount": "much"}]})),
        request("/predict", document({"model": "unknown", "rows": [ROW]})),
        request("/v2/models/sums/infer", document({"inputs": [{**tensor, "shape": [9, 4]}]})),
        request("/outcomes", document({"model": "toy", "outcomes": [{"prediction_id": "x", "outcome": 1}]})),
        request("/nowhere", b"{}"),
    ]


def test_memory_stays_flat_under_mixed_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toys = ToyStore(tmp_path)
    served = toys.put_and_release(0.5)
    sums = release_tensor(toys)
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_SPOOL_BYTES=str(64 * MIB))
    times: list[float] = []
    sizes: list[float] = []
    try:
        server.wait_live()
        server.wait_served(served.version)
        server.wait_served(sums.version, "sums")
        worker = server.worker()
        with PacedLoad(
            server.port,
            mixed(server),
            per_second=PER_SECOND,
            connections=16,
            expected=(200, 202, 400, 404, 405, 422),
        ) as load:
            start = time.monotonic()
            while time.monotonic() < start + SECONDS:
                time.sleep(min(2.0, SECONDS / 50))
                times.append(time.monotonic() - start)
                sizes.append(worker.memory_info().rss / MIB)
    finally:
        server.stop()
    warm = [place for place, moment in enumerate(times) if moment > WARM_SHARE * SECONDS]
    slope = float(np.polyfit(np.take(times, warm), np.take(sizes, warm), 1)[0])
    record = load.record
    with capsys.disabled():
        print(
            f" memory: {SECONDS:.0f} s of load, {len(record.due) / SECONDS:.0f} answers/s, {record.failed} failed; "
            f"MiB resident {sizes[0]:.1f}, {sizes[warm[0]]:.1f} after {times[warm[0]]:.0f} s, {sizes[-1]:.1f} at the end; "
            f"slope {60 * slope:+.3f} MiB/min"
        )
    assert record.failures == []
    assert slope * SECONDS <= MAX_MIB
