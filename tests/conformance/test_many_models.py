"""Thirty models on a server with memory for five: answers, attribution, memory, releases, and what operators see."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.release import Release
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore, toy_onnx
from tests.waiting import eventually

MODELS = 30
FITTING = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ToyStore:
    store = ToyStore(tmp_path_factory.mktemp("many"))
    for number in range(MODELS):
        store.put_and_release(float(number), model=name_of(number))
    return store


def name_of(number: int) -> str:
    return f"m{number:02d}"


def serve(store: ToyStore, **settings: Any) -> InferenceServer:
    manifest = store.store.manifest(name_of(0), store.store.versions(name_of(0))[0])
    size = sum(file.size for name, file in manifest.files.items() if name != "reference.parquet")
    return InferenceServer(store, bound_bytes=FITTING * size + size // 2, **settings)


def loaded(server: InferenceServer) -> list[str]:
    return [servable.model for servable in server.slots.current()]


def test_start_loads_as_many_as_fit(store: ToyStore) -> None:
    server = serve(store)
    assert loaded(server) == [name_of(number) for number in range(FITTING)]
    report = server.ask("GET", "/status.json").json()
    assert [model["loaded"] for model in report["models"]] == [True] * FITTING + [False] * (MODELS - FITTING)
    assert all(model["generation"] == 1 for model in report["models"])
    assert report["ready"]
    [message] = report["messages"]
    assert "No prediction yet" in message["text"]
    assert server.sample("homeostat_inference_generation", model=name_of(29)) == 1


def test_every_answer_is_right_and_memory_is_bounded(store: ToyStore) -> None:
    server = serve(store)
    numbers = random.Random(7)
    most = 0
    for _ in range(10):
        asked = [numbers.randrange(MODELS) for _ in range(6)]

        def call(number: int) -> Callable[[Any], Any]:
            return lambda client: client.post("/predict", json={"model": name_of(number), "rows": [ROW]})

        answers = server.ask_together(*map(call, asked))
        most = max(most, server.bounded.loaded_bytes())
        for number, answer in zip(asked, answers, strict=True):
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert (body["model"], body["generation"]) == (name_of(number), 1)
            assert body["predictions"][0]["score"] == float(number)
    assert most <= server.bounded.bound_bytes
    assert len(loaded(server)) == FITTING
    totals = server.ask("GET", "/status.json").json()["model_memory"]["demand_loads"]
    assert totals["failed"] == totals["timed_out"] == 0
    assert totals["loaded"] == totals["unloaded"] > MODELS
    # The log has what was answered.
    for record in server.spool.predictions:
        assert record["model"] == f"m{int(record['scores'][0]):02d}"
    versions = sum(
        server.sample("homeostat_inference_loaded_versions", model=name_of(number)) or 0
        for number in range(MODELS)
    )
    assert versions == FITTING


def test_last_used_models_stay(store: ToyStore) -> None:
    server = serve(store)
    for number in (0, 1, 2, 3, 4, 0, 7):
        assert server.predict(ROW, model=name_of(number)).status_code == 200
    assert loaded(server) == [name_of(number) for number in (0, 2, 3, 4, 7)]


def test_release_of_an_unloaded_model_is_loaded_checked_and_answers(tmp_path: Path) -> None:
    store = ToyStore(tmp_path)
    for number in range(FITTING + 3):
        store.put_and_release(float(number), model=name_of(number))
    server = serve(store)
    store.put_and_release(70.0, model=name_of(7))
    server.poller.poll()
    answer = server.predict(ROW, model=name_of(7)).json()
    assert (answer["generation"], answer["predictions"][0]["score"]) == (2, 70.0)

    # Unloaded again, and a bad version is released: the one before it answers.
    for number in range(FITTING):
        server.predict(ROW, model=name_of(number))
    assert name_of(7) not in loaded(server)
    store.put_and_release(71.0, model=name_of(7), raw=b"no model")
    server.poller.poll()
    answer = server.predict(ROW, model=name_of(7)).json()
    assert (answer["generation"], answer["predictions"][0]["score"]) == (2, 70.0)
    [entry] = [one for one in server.ask("GET", "/status.json").json()["models"] if one["name"] == name_of(7)]
    assert "not an ONNX model" in entry["last_error"]
    assert server.sample("homeostat_inference_release_failed", model=name_of(7)) == 1


def test_model_in_use_is_not_unloaded(store: ToyStore) -> None:
    server = serve(store)
    held = [server.slots.acquire(name_of(number)) for number in range(FITTING)]
    answer = server.predict(ROW, model=name_of(9))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "every loaded model is answering requests" in answer.json()["error"]
    assert loaded(server) == [one.model for one in held]
    assert all(one.run(one.schema.batch([ROW])).tolist() == [float(one.model[1:])] for one in held)


def test_client_sees_the_state_of_an_unloaded_model(store: ToyStore) -> None:
    server = serve(store)
    index = {one["name"]: one for one in server.ask("POST", "/v2/repository/index").json()}
    assert index[name_of(0)]["state"] == "READY"
    assert index[name_of(20)]["state"] == "UNAVAILABLE"
    assert index[name_of(20)]["reason"].startswith("unloaded to keep within")
    assert server.ask("GET", "/v2/health/ready").json()["ready"]
    # A client that asks for readiness first gets a model that is ready.
    assert server.ask("GET", f"/v2/models/{name_of(20)}/ready").json()["ready"]
    assert name_of(20) in loaded(server)
    page = server.ask("GET", "/status").text
    assert "loaded on demand" in page
    assert "5 of 30 models" in page


def test_metadata_of_a_model_that_was_unloaded_loads_nothing(store: ToyStore) -> None:
    server = serve(store)
    server.predict(ROW, model=name_of(20))
    assert name_of(0) not in loaded(server)
    answer = server.ask("GET", f"/v2/models/{name_of(0)}")
    assert answer.json()["inputs"][0]["name"] == "amount"
    assert name_of(0) not in loaded(server)


def test_outcomes_of_unloaded_models_are_accepted(store: ToyStore) -> None:
    server = serve(store)
    identity = server.predict(ROW, model=name_of(20)).json()["predictions"][0]["prediction_id"]
    other = serve(store)  # it never loaded the model
    for one in (server, other):
        for number in range(FITTING):
            one.predict(ROW, model=name_of(number))
        assert name_of(20) not in loaded(one)
        outcome = {"prediction_id": identity, "value": 1.0, "observed_at": "2026-01-01T00:00:00Z"}
        assert one.ask("POST", "/outcomes", json=outcome).status_code == 202


def test_model_larger_than_the_bound_has_a_clear_message(tmp_path: Path) -> None:
    store = ToyStore(tmp_path)
    store.put_and_release(1.0, model="large", raw=toy_onnx(1.0, weights=100_000))
    server = InferenceServer(store, bound_bytes=1 << 18)
    answer = server.predict(ROW, model="large")
    assert answer.status_code == 503
    assert "more than all models may use together" in answer.json()["error"]
    assert "HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB" in answer.json()["error"]
    report = server.ask("GET", "/status.json").json()
    assert not report["ready"]
    assert "large needs 0.4 MiB" in report["messages"][0]["text"]


def test_tampered_version_is_not_loaded_on_demand(tmp_path: Path) -> None:
    store = ToyStore(tmp_path)
    releases: list[Release] = [
        store.put_and_release(float(number), model=name_of(number)) for number in range(FITTING + 1)
    ]
    server = serve(store)
    path = tmp_path / "models" / name_of(5) / "versions" / releases[5].version / "model.onnx"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    answer = server.predict(ROW, model=name_of(5))
    assert answer.status_code == 503
    assert "cannot be loaded" in answer.json()["error"]
    assert server.sample("homeostat_inference_demand_loads_total", model=name_of(5), result="failed") == 1
    report = server.ask("GET", "/status.json").json()
    [text] = [message["text"] for message in report["messages"] if name_of(5) in message["text"]]
    assert text.startswith(f"Generation 1 of {name_of(5)} is live but not in memory, and cannot be loaded: ")
    # A release that cannot be loaded either is what is said then, and the list of this worker has it.
    store.put_and_release(8.0, model=name_of(5), raw=b"no model")
    server.poller.poll()
    report = server.ask("GET", "/status.json").json()
    [text] = [message["text"] for message in report["messages"] if name_of(5) in message["text"]]
    assert text.startswith(f"The newest release of {name_of(5)} cannot be loaded: ")
    assert name_of(5) in report["workers"][0]["release_errors"]


def test_swap_under_requests_of_the_unloaded_model(tmp_path: Path) -> None:
    store = ToyStore(tmp_path)
    for number in range(FITTING + 1):
        store.put_and_release(float(number), model=name_of(number))
    server = serve(store)
    store.put_and_release(50.0, model=name_of(5))

    async def ask() -> list[Any]:
        async def call(client: Any) -> Any:
            return await client.post("/predict", json={"model": name_of(5), "rows": [ROW]})

        poll = threading.Thread(target=server.poller.poll)
        poll.start()
        answers = [await call(client) for client in [await server.client()] for _ in range(20)]
        await asyncio.to_thread(poll.join)
        answers.append(await call(await server.client()))
        return answers

    answers = asyncio.run(ask())
    got = [(answer.json()["generation"], answer.json()["predictions"][0]["score"]) for answer in answers]
    assert set(got) <= {(1, 5.0), (2, 50.0)}
    assert got == sorted(got)
    assert got[-1] == (2, 50.0)
    eventually(lambda: len(loaded(server)) <= FITTING, "within the bound")


def test_canary_answers_while_other_models_come_and_go(store: ToyStore) -> None:
    model = name_of(5)
    server = serve(store)
    challenger = store.put(0.5, model=model).version
    store.start(challenger, "canary", 1.0, model=model)
    try:
        server.poller.poll()
        for number in range(MODELS):
            assert server.predict(ROW, model=name_of(number)).status_code == 200
            assert server.bounded.loaded_bytes() <= server.bounded.bound_bytes
        assert server.predict(ROW, model=model).json()["version"] == challenger
        assert server.sample("homeostat_inference_slot_failed", model=model, slot="canary") == 0
        assert server.predict(ROW, model=model).json()["slot"] == "canary"
    finally:
        store.start(challenger, "canary", 0, model=model)
