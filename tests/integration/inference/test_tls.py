"""Inference with TLS: the fast path and the ordinary one, in several processes, with a certificate that is renewed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from tests import local_http
from tests.fakes.half_open import HalfOpen
from tests.fakes.tls_client import certificate_of
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.waiting import bound, eventually

DEADLINE_S = 3
BODY = {"model": "toy", "rows": [ROW]}


@pytest.fixture
def files(tmp_path: Path) -> CertificateFolder:
    return create_certificates(tmp_path / "tls")


@pytest.fixture(params=["true", "false"], ids=["fast path", "BentoML's path"])
def server(
    tmp_path: Path, files: CertificateFolder, request: pytest.FixtureRequest
) -> Iterator[InferenceProcess]:
    toys = ToyStore(tmp_path / "home")
    release = toys.put_and_release(0.5)
    server = InferenceProcess(
        toys.home,
        certificates=files,
        HOMEOSTAT_INFERENCE_WORKERS="2",
        HOMEOSTAT_INFERENCE_RECEIVE_SECONDS=str(DEADLINE_S),
        HOMEOSTAT_INFERENCE_FAST_PATH=request.param,
    )
    try:
        server.wait_live()
        server.wait_served(release.version)
        server.wait(
            lambda: server.http.get("/health/ready").status_code == 200, "both processes have the model"
        )
        yield server
    finally:
        server.stop()


def test_server_with_tls_does_what_it_does_without(
    server: InferenceProcess, files: CertificateFolder
) -> None:
    answers = [server.http.post("/predict", json=BODY) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    ids = {answer.json()["predictions"][0]["prediction_id"] for answer in answers}
    assert len(ids) == 20
    # The parts of a request may come as records of their own.
    content = iter([json.dumps(BODY).encode()[:20], json.dumps(BODY).encode()[20:]])
    headers = {"Content-Type": "application/json"}
    assert server.http.post("/predict", content=content, headers=headers).status_code == 200
    assert len(spooled(server.home)) == 21

    before = certificate_of(server.port, files.ca)
    create_certificates(files.folder)
    for _ in range(3):  # both processes
        eventually(lambda: certificate_of(server.port, files.ca) != before, "the new certificate is shown")
    assert server.http.post("/predict", json=BODY).status_code == 200

    plain = httpx.post(f"http://127.0.0.1:{server.port}/predict", json=BODY, trust_env=False)
    assert plain.status_code == 400
    assert plain.json()["hint"] == "use an address that begins with https://"

    expires = server.metric("homeostat_tls_certificate_expires_timestamp_seconds")
    assert expires > 1.7e9
    with HalfOpen(server.port, 300, tls=True) as half_open:
        for _ in range(20):
            answer = local_http.post(f"{server.url}/predict", json=BODY, timeout=bound(5))
            assert answer.status_code == 200
        assert half_open.wait_closed(bound(15)) == 0
    assert "Traceback" not in server.log.read_text()
