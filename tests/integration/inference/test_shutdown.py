"""The end of a real server under load, and its probes while it is saturated."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from shared.spool import PredictionRecord
from tests.fakes import bad_models
from tests.fakes.socket_server import read_answers, request
from tests.fakes.tensor_model import release_tensor
from tests.fakes.tls_client import trusting
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.waiting import bound, eventually

INFER = request(
    "/v2/models/sums/infer",
    json.dumps(
        {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    ).encode(),
)
PREDICT = request("/predict", json.dumps({"model": "toy", "rows": [ROW]}).encode())
TRACED = request(
    "/predict",
    json.dumps({"model": "toy", "rows": [ROW]}).encode(),
    [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
)
# Their model calls do not end: one was made on a thread, one on the event loop.
HANGS, HANGS_ON_LOOP = (
    request("/predict", json.dumps({"model": model, "rows": [{**ROW, "count": 1000}]}).encode())
    for model in ("stuck", "stuck-on-loop")
)
LIVE = request("/health/live", b"", method="GET")


class Client(threading.Thread):
    """Sends the next request as soon as the last one is answered, until the server says that it closes."""

    def __init__(self, port: int, asked: bytes, files: CertificateFolder | None = None) -> None:
        super().__init__(daemon=True)
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=bound(20))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if files is not None:
            self.connection = trusting(files).wrap_socket(self.connection, server_hostname="127.0.0.1")
        self.asked = asked
        self.answered = 0
        self.ids: list[str] = []
        self.problem = ""
        self.enough = threading.Event()

    def run(self) -> None:
        with self.connection:
            while not self.enough.is_set():
                try:
                    self.connection.sendall(self.asked)
                    answers = read_answers(self.connection, 1)
                except OSError as error:
                    self.problem = repr(error)
                    return
                if not answers or not answers[0].startswith(b"HTTP/1.1 200 "):
                    self.problem = repr(answers)
                    return
                self.answered += 1
                head, _, body = answers[0].partition(b"\r\n\r\n")
                document = json.loads(body)
                self.ids += [row["prediction_id"] for row in document.get("predictions", [])]
                if b"connection: close" in head.lower():
                    return


@pytest.fixture
def home(tmp_path: Path) -> ToyStore:
    return ToyStore(tmp_path)


@pytest.fixture
def files() -> CertificateFolder | None:
    return None


@pytest.fixture
def saturated(home: ToyStore, files: CertificateFolder | None) -> Iterator[InferenceProcess]:
    release = home.put_and_release(0.5)
    sums = release_tensor(home)
    stuck = home.put_and_release(1.0, model="stuck", raw=bad_models.hanging_for_some())
    on_loop = home.put_and_release(1.0, model="stuck-on-loop", raw=bad_models.hanging_for_some(turns=10))
    server = InferenceProcess(
        home.home, certificates=files, options=("--timeout-graceful-shutdown", str(int(bound(3))))
    )
    try:
        server.wait_live()
        server.wait_served(release.version)
        server.wait_served(sums.version, "sums")
        server.wait_served(stuck.version, "stuck")
        server.wait_served(on_loop.version, "stuck-on-loop")
        yield server
    finally:
        server.stop()


def test_probe_is_quick_while_saturated_and_sigterm_loses_no_request(
    saturated: InferenceProcess, home: ToyStore
) -> None:
    probe_while_saturated(saturated)
    end_under_load(saturated, home, None)


class TestWithTls:
    @pytest.fixture
    def files(self, tmp_path: Path) -> CertificateFolder:
        return create_certificates(tmp_path / "tls")

    def test_sigterm_under_load_loses_no_request(
        self, saturated: InferenceProcess, home: ToyStore, files: CertificateFolder
    ) -> None:
        end_under_load(saturated, home, files)


def end_under_load(saturated: InferenceProcess, home: ToyStore, files: CertificateFolder | None) -> None:
    """Also with model calls that hang: their clients are told, and everything ends in order."""
    stuck = [Client(saturated.port, asked, files) for asked in (HANGS, HANGS_ON_LOOP)]
    for client in stuck:
        client.start()
    asked = (INFER, PREDICT, TRACED)
    clients = [Client(saturated.port, asked[number % 3], files) for number in range(16)]
    for client in clients:
        client.start()
    eventually(lambda: all(client.answered > 3 or client.problem for client in clients), "all are answered")
    saturated.process.terminate()
    for client in clients:
        client.join(bound(20))
    assert [client.problem for client in clients if client.problem] == []
    for client in stuck:
        client.join(bound(20))
        assert "HTTP/1.1 503 Service Unavailable" in client.problem
        assert "the server stopped before the request was answered" in client.problem
    assert saturated.process.wait(bound(20)) in (0, -15, 143)
    log = saturated.log.read_text()
    assert '"model_calls_do_not_end"' in log
    assert log.count('"model_call_stopped"') == 1
    assert "Traceback" not in log
    logged = {
        identity
        for record in spooled(home.home)
        if isinstance(record, PredictionRecord)
        for identity in record.prediction_ids
    }
    assert {identity for client in clients for identity in client.ids} <= logged


def probe_while_saturated(saturated: InferenceProcess) -> None:
    """64 busy connections of heavy requests: what runs on the loop is cut into slices."""
    heavy = request(
        "/predict",
        json.dumps({"model": "toy", "rows": [ROW] * 500}).encode(),
    )
    clients = [Client(saturated.port, heavy) for _ in range(64)]
    for client in clients:
        client.start()
    time.sleep(1)
    waits = []
    with socket.create_connection(("127.0.0.1", saturated.port), timeout=bound(20)) as probe:
        for _ in range(20):
            start = time.perf_counter()
            probe.sendall(LIVE)
            assert read_answers(probe, 1)[0].startswith(b"HTTP/1.1 200 ")
            waits.append(time.perf_counter() - start)
            time.sleep(0.02)
    for client in clients:
        client.enough.set()
    for client in clients:
        client.join(bound(20))
    assert [client.problem for client in clients if client.problem] == []
    assert sorted(waits)[len(waits) // 2] < bound(0.1)
