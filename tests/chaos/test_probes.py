"""`/livez` within 100 ms while the server is saturated, by each kind of load."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from loadtests.bench_model import release_model, write_models
from loadtests.contenders import headers_of
from loadtests.load import post
from loadtests.workloads import WORKLOADS, write_bodies
from tests.fakes import bad_models
from tests.fakes.probing import probe_while_saturated
from tests.fakes.socket_server import request
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SECONDS = 20
# About 50 ms a call: it runs on threads.
SLOW = json.dumps({"model": "toy", "rows": [ROW]}).encode()
TURNS = 35_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceProcess]:
    home = tmp_path_factory.mktemp("home")
    write_models(home)
    for name in ("mlp", "conv"):
        release_model(home, name)
    write_bodies(home)
    toys = ToyStore(home)
    slow = toys.put_and_release(1.0, raw=bad_models.slow(turns=TURNS))
    server = InferenceProcess(home)
    try:
        server.wait_live()
        for model in ("mlp", "conv"):
            server.wait(lambda model=model: server.served(model), f"{model} is served", 60)  # type: ignore[misc]
        server.wait_served(slow.version)
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("connections", [16, 64])
@pytest.mark.parametrize("work", ["tab64 infer", "tab64 predict", "img infer", "slow"])
def test_livez_is_quick_while_saturated(
    server: InferenceProcess, work: str, connections: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if work == "slow":
        asked = request("/predict", SLOW)
    else:
        workload, dialect = work.split()
        one = WORKLOADS[workload][dialect]
        asked = post(one.path, (server.home / one.body).read_bytes(), headers_of(one, server.home))
    found = probe_while_saturated(
        f"{work}, {connections} connections", server.port, [asked], connections=connections, seconds=SECONDS
    )
    with capsys.disabled():
        print("", found.line())
    assert found.probes > 20
    assert found.answered > 20
    assert set(found.failures) <= {"503"}
    assert found.longest <= found.allowed
