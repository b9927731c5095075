"""What a caller meets on a real server: predictions, outcomes, the Open Inference Protocol, limits, and a crash."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from services.inference.runtimes.devices import choose_device
from shared.spool import OutcomeRecord, PredictionRecord
from tests import local_http
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import ROOT, InferenceProcess, spooled
from tests.waiting import bound, eventually

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def server(toys: ToyStore) -> Iterator[InferenceProcess]:
    release = toys.put_and_release(0.25, kind="probability")
    server = InferenceProcess(
        toys.home,
        HOMEOSTAT_INFERENCE_RECEIVE_SECONDS="1",
        HOMEOSTAT_INFERENCE_MAXIMUM_BODY_BYTES="100000",
        HOMEOSTAT_INFERENCE_MAXIMUM_IN_FLIGHT="8",
    )
    try:
        server.wait_live()
        server.wait_served(release.version)
        yield server
    finally:
        server.stop()


def test_prediction_and_outcome_are_spooled_before_response(server: InferenceProcess, toys: ToyStore) -> None:
    body = {"model": "toy", "event_time": "2013-01-01T05:00:00Z", "rows": [ROW, {**ROW, "amount": None}]}
    answer = server.http.post("/predict", json=body, headers={"traceparent": TRACE}).json()
    identities = [row["prediction_id"] for row in answer["predictions"]]
    record = next(
        record
        for record in spooled(toys.home)
        if isinstance(record, PredictionRecord) and list(record.prediction_ids) == identities
    )
    assert (record.version, record.generation) == (answer["version"], answer["generation"])
    assert record.scores is not None
    assert list(record.scores) == [row["score"] for row in answer["predictions"]] == [0.25, 0.25]
    assert record.columns["amount"] == [1.5, None]
    assert record.event_time.isoformat() == "2013-01-01T05:00:00+00:00"
    assert record.traceparent == TRACE

    outcomes = [
        {"prediction_id": identity, "value": 1, "observed_at": "2013-01-01T09:00:00Z"}
        for identity in identities
    ]
    for _ in range(2):
        taken = server.http.post("/outcomes", json={"outcomes": outcomes})
        assert (taken.status_code, taken.json()) == (202, {"accepted": 2})
    kept = [record for record in spooled(toys.home) if isinstance(record, OutcomeRecord)]
    assert [list(record.prediction_ids) for record in kept] == [identities, identities]


def test_one_bad_outcome_refuses_all(server: InferenceProcess, toys: ToyStore) -> None:
    identity = server.http.post("/predict", json={"rows": [ROW]}).json()["predictions"][0]["prediction_id"]
    before = len(spooled(toys.home))
    for bad, status in (
        ({"prediction_id": identity, "value": 2}, 422),
        ({"prediction_id": "0" * 32, "value": 1}, 404),
    ):
        answer = server.http.post(
            "/outcomes", json={"outcomes": [{"prediction_id": identity, "value": 1}, bad]}
        )
        assert (answer.status_code, answer.json()["row"]) == (status, 1)
    assert len(spooled(toys.home)) == before


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
def test_tritonclient_infer(
    server: InferenceProcess, compression: str | None, binary_input: bool, binary_output: bool | None
) -> None:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        outputs = None
        if binary_output is not None:
            outputs = [triton.InferRequestedOutput("score", binary_data=binary_output)]
        result = client.infer(
            "toy",
            triton_inputs(binary_input),
            outputs=outputs,
            request_id="seven",
            request_compression_algorithm=compression,
        )
    response = result.get_response()
    np.testing.assert_array_equal(result.as_numpy("score"), np.array([0.25, 0.25], np.float32))
    assert (response["model_version"], response["id"]) == (server.served()["version"], "seven")
    assert response["parameters"]["generation"] == 1
    if outputs is None:
        identities = [identity.decode() for identity in result.as_numpy("prediction_id")]
    else:
        identities = response["parameters"]["prediction_id"].split(",")
    assert server.http.post("/outcomes", json={"prediction_id": identities[1], "value": 0}).status_code == 202


def test_tritonclient_health_metadata_and_errors(server: InferenceProcess) -> None:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("toy")
        assert not client.is_model_ready("toy", "0" * 64)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata("toy")
        assert metadata["inputs"][0] == {
            "name": "amount",
            "datatype": "FP32",
            "shape": [-1],
            "parameters": {"type": "number", "nullable": True, "minimum": 0.0, "maximum": 10.0},
        }
        assert [output["name"] for output in metadata["outputs"]] == ["score", "prediction_id"]
        with pytest.raises(InferenceServerException, match="model 'zz' is not loaded"):
            client.infer("zz", triton_inputs(True))
        with pytest.raises(InferenceServerException, match="there is no route"):
            client.get_trace_settings()


def triton_inputs(binary: bool) -> list[Any]:
    values: dict[str, tuple[Any, str]] = {
        "amount": (np.array([[1.0], [2.0]], np.float32), "FP32"),
        "count": (np.array([1, 2], np.int64), "INT64"),
        "member": (np.array([True, False]), "BOOL"),
        "colour": (np.array(["red", "green"], object), "BYTES"),
    }
    inputs = []
    for name, (array, datatype) in values.items():
        tensor = triton.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        inputs.append(tensor)
    return inputs


def test_too_large_stream_is_refused(server: InferenceProcess) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield b" " * 10_000

    try:
        status = local_http.post(f"{server.url}/predict", content=endless(), timeout=10).status_code
    except httpx.WriteError:  # the server had answered and closed before all was sent
        status = 413
    assert status == 413
    declared = server.http.post("/predict", content=b"x" * 200_000)
    assert (declared.status_code, declared.json()["field"]) == (413, "body")
    bomb = server.http.post(
        "/predict", content=gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"}
    )
    assert bomb.status_code == 413


def test_slow_senders_do_not_block_others(server: InferenceProcess) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    for connection in slow:
        connection.sendall(
            b'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"rows":'
        )
    start = time.monotonic()
    statuses = {server.http.post("/predict", json={"rows": [ROW]}).status_code for _ in range(5)}
    assert statuses == {200}
    assert time.monotonic() - start < bound(1.0)
    for connection in slow:
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        connection.close()


def test_operational_routes(server: InferenceProcess) -> None:
    assert server.http.get("/health/live").json() == {"live": True}
    assert server.http.get("/health/ready").status_code == 200
    assert server.http.get("/", follow_redirects=False).headers["location"] == "/status"
    assert server.http.post("/predict", json={"rows": [ROW] * 3}).status_code == 200
    answer = server.http.get("/status")
    page = answer.text
    assert "toy" in page
    assert "http://" not in page
    assert "https://" not in page
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    report = server.status()
    assert report["models"][0]["seconds_since_prediction"] < 60
    assert report["messages"] == []
    metrics = server.http.get("/metrics").text
    assert 'homeostat_inference_generation{model="toy"} 1.0' in metrics
    assert 'homeostat_inference_release_failed{model="toy"} 0.0' in metrics
    assert (
        f'homeostat_inference_device_info{{device="cpu",reason="{report["device_reason"]}"}} 1.0' in metrics
    )
    assert "homeostat_inference_calls_queued 0.0" in metrics
    answered = time.time() - server.metric(
        'homeostat_inference_last_prediction_timestamp_seconds{model="toy"}'
    )
    assert 0 <= answered < 60
    for series in ("batch_rows", "queue_duration_seconds"):
        assert server.metric(f'homeostat_inference_{series}_count{{model="toy"}}') >= 1
    assert server.metric('homeostat_inference_batch_rows_sum{model="toy"}') >= 3
    version = report["models"][0]["version"][:12]
    calls = f'call_duration_seconds_count{{device="cpu",model="toy",version="{version}"}}'
    assert server.metric(f"homeostat_inference_{calls}") >= 1
    if report["device"] == "cpu":
        assert "homeostat_inference_device_memory" not in metrics
    assert server.http.get("/schema.json").json()["name"] == "homeostat-inference"
    assert server.http.get("/predict").status_code == 405
    assert server.http.get("/nothing").json()["error"].startswith("there is no route /nothing")


def test_locust_profile_runs_without_failures(server: InferenceProcess) -> None:
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        "loadtests/locustfile.py",
        "--headless",
        "--only-summary",
    ]
    ran = subprocess.run(
        [*command, "--host", server.url, "--load-profile", "steady", "--speed", "150", "--rows", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "/predict" in ran.stderr + ran.stdout


# It ends the server that the tests above asked.
def test_predictions_before_kill_are_spooled(server: InferenceProcess, toys: ToyStore) -> None:
    answered: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=bound(20)) as client:
            try:
                while True:
                    answer = client.post("/predict", content=json.dumps({"rows": [ROW] * 5}))
                    answered.extend(row["prediction_id"] for row in answer.json()["predictions"])
            except (httpx.HTTPError, ValueError):
                return

    request_threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for request_thread in request_threads:
        request_thread.start()
    eventually(lambda: len(answered) > 50, "more than 50 rows are answered")
    server.kill()
    for request_thread in request_threads:
        request_thread.join(timeout=bound(10))

    records = [record for record in spooled(toys.home) if isinstance(record, PredictionRecord)]
    logged = {identity for record in records for identity in record.prediction_ids}
    assert set(answered) <= logged


def test_workers_end_with_their_parent(toys: ToyStore) -> None:
    server = InferenceProcess(toys.home)
    try:
        server.wait_live()
        worker = server.worker()
        server.process.kill()
        server.process.wait(timeout=bound(10))
        _, alive = psutil.wait_procs([worker], timeout=bound(15))
        for orphan in alive:
            orphan.kill()
        assert alive == []
    finally:
        server.stop()


def test_cuda_never_falls_back_silently(toys: ToyStore) -> None:
    if choose_device("auto").name == "cuda":
        pytest.skip("CUDA can be used here")
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_DEVICE="cuda")
    try:
        server.wait(lambda: "server_not_started" in server.log.read_text(), "the refusal is logged")
        text = server.log.read_text()
        assert "HOMEOSTAT_INFERENCE_DEVICE=cuda, but CUDA is not usable" in text
        assert "set HOMEOSTAT_INFERENCE_DEVICE=cpu" in text
        assert "device_chosen" not in text
    finally:
        server.stop()
