"""Two servers behind a real nginx with the shipped configuration: a swap, a sticky canary and a rolling restart, under load."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from services.inference.rollout.share import is_in_share
from shared.access.scope import Scope
from shared.spool import PredictionRecord
from tests.fakes.api_keys import ApiKeys
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.nginx import running_nginx
from tests.waiting import bound

DRAIN = 5.0  # as docs/several-machines.md says: longer than nginx keeps unused connections
SHARE = 0.5
KEYS = [f"customer-{number}" for number in range(24)]


class Caller(threading.Thread):
    """Sends a prediction every few milliseconds through the load balancer, on a connection that it keeps."""

    def __init__(self, url: str, api_key: str, first: int) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=bound(20)
        )
        self.number = first
        self.enough = threading.Event()
        self.failures: list[str] = []
        self.ids: list[str] = []
        self.answers: set[tuple[int, str, str]] = set()  # generation, key and slot

    def run(self) -> None:
        with self.client:
            while not self.enough.wait(0.03):
                self.number += 1
                key = KEYS[self.number % len(KEYS)]
                try:
                    answer = self.client.post("/predict", json={"model": "toy", "key": key, "rows": [ROW]})
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code} {answer.text}")
                    continue
                body = answer.json()
                self.ids += [row["prediction_id"] for row in body["predictions"]]
                self.answers.add((body["generation"], key, body.get("slot", "live")))


@pytest.fixture
def toys(tmp_path: Path) -> ToyStore:
    first = tmp_path / "first"
    first.mkdir()
    return ToyStore(first)


@pytest.fixture
def api_key(toys: ToyStore) -> str:
    return ApiKeys(toys.home / "keys" / "api_keys.json").make("caller", Scope.PREDICT)


@pytest.fixture
def servers(tmp_path: Path, toys: ToyStore, api_key: str) -> Iterator[list[InferenceProcess]]:
    """Each with a home and a spool of its own; keys and model store are the same."""
    toys.put_and_release(1.0)
    second = tmp_path / "second"
    second.mkdir()
    shutil.copytree(toys.home / "keys", second / "keys")
    with ExitStack() as ending:
        made = []
        for home in (toys.home, second):
            server = InferenceProcess(
                home,
                HOMEOSTAT_MODEL_STORE=(toys.home / "models").as_uri(),
                HOMEOSTAT_INFERENCE_DRAIN_SECONDS=str(DRAIN),
            )
            ending.callback(server.kill)
            made.append(server)
        for server in made:
            server.wait_live()
            server.wait_generation(1)
        yield made


def test_no_request_fails_through_swap_canary_and_rolling_restart(
    tmp_path: Path, toys: ToyStore, servers: list[InferenceProcess], api_key: str
) -> None:
    asked: list[str] = []  # ids that the servers gave without the load balancer
    with running_nginx(tmp_path, [server.port for server in servers]) as port:
        callers = [Caller(f"http://127.0.0.1:{port}", api_key, 8 * number) for number in range(2)]
        for caller in callers:
            caller.start()
        toys.put_and_release(2.0)
        for server in servers:
            server.wait_generation(2)
        canary = toys.start(toys.put(3.0).version, share=SHARE)
        in_share = {key for key in KEYS if is_in_share(key, model="toy", version=canary.version, share=SHARE)}
        assert 4 < len(in_share) < 20
        for server in servers:
            wait_canary(server, canary.generation)
            assert canary_keys(server, asked) == in_share

        for server in servers:
            restart(server, canary.generation, asked)
            assert canary_keys(server, asked) == in_share

        for caller in callers:
            caller.enough.set()
        for caller in callers:
            caller.join(bound(20))
    assert [failure for caller in callers for failure in caller.failures] == []
    assert {2, canary.generation} <= {answer[0] for caller in callers for answer in caller.answers}
    assert {key for caller in callers for _, key, slot in caller.answers if slot == "canary"} == in_share
    answered = [identity for caller in callers for identity in caller.ids] + asked
    logged = [predictions(server) for server in servers]
    assert len(answered) > 200
    assert sorted(logged[0] + logged[1]) == sorted(answered)  # none is lost, none is logged twice
    assert min(map(len, logged)) > len(answered) // 4  # both took their part


def restart(server: InferenceProcess, canary: int, asked: list[str]) -> None:
    """As the page says: stop, start, wait until it is ready. Until its end it answers, and is not ready."""
    server.process.terminate()
    server.wait(lambda: server.http.get("/health/ready").status_code == 503, "it is not ready", DRAIN / 2)
    answer = ask(server, KEYS[0], asked)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    server.process.wait(bound(DRAIN + 20))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health/live", timeout=bound(5))
    server.start_again()
    server.wait(lambda: server.http.get("/health/ready").status_code == 200, "it is ready")
    wait_canary(server, canary)


def wait_canary(server: InferenceProcess, generation: int) -> None:
    def served() -> bool:
        return [side["generation"] for side in server.served().get("sides", [])] == [generation]

    server.wait(served, f"canary {generation} is served")


def canary_keys(server: InferenceProcess, asked: list[str]) -> set[str]:
    """The keys for which the canary of this server answers."""
    return {key for key in KEYS if ask(server, key, asked).json().get("slot") == "canary"}


def ask(server: InferenceProcess, key: str, asked: list[str]) -> httpx.Response:
    answer = server.http.post("/predict", json={"model": "toy", "key": key, "rows": [ROW]})
    asked += [row["prediction_id"] for row in answer.json()["predictions"]]
    return answer


def predictions(server: InferenceProcess) -> list[str]:
    """The ids on the spool of a server."""
    records = [record for record in spooled(server.home) if isinstance(record, PredictionRecord)]
    return [identity for record in records for identity in record.prediction_ids]
