"""Requests to a model with a canary, through the real handlers, loader and poller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.rollout.canary import CanaryAnswers
from services.inference.rollout.metrics import SlotMetrics
from services.inference.rollout.share import is_in_share
from shared.contracts.prediction_id import PredictionIds
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore

LIVE, CANARY = 0.25, 0.75


class BrokenEngine:
    """The engine of a servable, but each call ends as `fault` says."""

    def __init__(self, servable: Servable, fault: str) -> None:
        self._engine: Any = servable._engine
        self.fault = fault
        self.calls = 0
        self.goes_on, self.ended = Event(), Event()

    def run(self, output: str, feeds: Mapping[str, Any]) -> Any:
        self.calls += 1
        if self.fault == "error":
            raise RuntimeError("out of order")
        if self.fault == "hang":
            assert self.goes_on.wait(30)
            self.ended.set()
        answered = self._engine.run(output, feeds)
        return np.full_like(answered, np.nan) if self.fault == "nan" else answered


def break_canary(server: InferenceServer, fault: str) -> BrokenEngine:
    canary = server.slots.sides.canaries["toy"]
    broken = BrokenEngine(canary, fault)
    canary._engine = broken  # type: ignore[assignment]
    return broken


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(LIVE)
    return InferenceServer(toys)


def start(server: InferenceServer, toys: ToyStore, share: float) -> str:
    version = toys.put(CANARY).version
    toys.start(version, share=share)
    server.poller.poll()
    return version


def results(server: InferenceServer, slot: str) -> dict[str, float]:
    return {
        sample.labels["result"]: sample.value
        for family in server.registry.collect()
        if family.name == "homeostat_inference_slot_requests"
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["slot"] == slot
    }


def logged(server: InferenceServer) -> list[tuple[str, str, int, str]]:
    """Id, version, generation and slot of each row."""
    return [
        (identity, record["version"], record["generation"], record["slot"])
        for record in server.spool.predictions
        for identity in record["prediction_ids"]
    ]


def test_key_decides_and_answer_and_log_say_who_answered(server: InferenceServer, toys: ToyStore) -> None:
    live = server.predict(ROW, key="a").json()
    assert "slot" not in live
    version = start(server, toys, 0.3)
    slots = {}
    for number in range(40):
        key = f"customer-{number}"
        answers = [server.predict(ROW, ROW, key=key).json() for _ in range(2)]
        assert answers[0]["version"] == answers[1]["version"]
        for answer in answers:
            is_canary = answer["version"] == version
            assert (answer["generation"], answer.get("slot")) == ((2, "canary") if is_canary else (1, None))
            outputs = [one["score"] for one in answer["predictions"]]
            assert outputs == [CANARY if is_canary else LIVE] * 2
        slots[key] = is_canary
    assert slots == {key: is_in_share(key, model="toy", version=version, share=0.3) for key in slots}
    assert 0 < sum(slots.values()) < 40
    by_slot = {slot: (found_version, generation) for _, found_version, generation, slot in logged(server)}
    assert by_slot == {"live": (live["version"], 1), "canary": (version, 2)}
    assert results(server, "canary") == {"answered": 2.0 * sum(slots.values())}
    assert results(server, "live") == {"answered": 2.0 * (40 - sum(slots.values()))}


def test_without_a_key_the_first_prediction_id_decides(server: InferenceServer, toys: ToyStore) -> None:
    version = start(server, toys, 0.5)
    found = []
    for _ in range(30):
        answer = server.predict(ROW, ROW, ROW).json()
        first = answer["predictions"][0]["prediction_id"]
        is_canary = is_in_share(first, model="toy", version=version, share=0.5)
        assert answer["version"] == version if is_canary else answer["generation"] == 1
        found.append(is_canary)
    assert 0 < sum(found) < 30
    ids = [identity for identity, *_ in logged(server)]
    assert len(ids) == len(set(ids)) == 90


@pytest.mark.parametrize(("fault", "result"), [("error", "failed"), ("nan", "non_finite")])
def test_request_whose_canary_fails_is_answered_live(
    server: InferenceServer, toys: ToyStore, fault: str, result: str
) -> None:
    start(server, toys, 1.0)
    broken = break_canary(server, fault)
    for _ in range(3):
        response = server.predict(ROW)
        assert (response.status_code, response.json()["generation"]) == (200, 1)
        assert response.json()["predictions"][0]["score"] == LIVE
    assert broken.calls >= 3
    assert results(server, "canary") == {result: 3.0}
    assert [(generation, slot) for _, _, generation, slot in logged(server)] == [(1, "live")] * 3
    assert server.slots.sides.canaries["toy"].in_flight == 0


def test_request_that_a_full_spool_refuses_is_dropped_once(server: InferenceServer, toys: ToyStore) -> None:
    start(server, toys, 1.0)
    server.recorder.refuses = server.spool.full = True
    response = server.predict(ROW, ROW)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert server.spool.dropped == {("predictions", "toy"): 2}
    assert "failed" not in results(server, "canary")


def test_live_version_answers_for_a_canary_that_hangs(toys: ToyStore) -> None:
    """In time, and it is not asked again for a while; what it answers later is not logged."""
    toys.put_and_release(LIVE)
    server = InferenceServer(toys, inline_seconds=0)
    start(server, toys, 1.0)
    server.rollout.canaries._maximum_seconds = 1.0
    broken = break_canary(server, "hang")

    async def ask_often() -> list[float]:
        async with await server.client() as client:

            async def ask() -> float:
                answer = await client.post("/predict", json={"rows": [ROW]})
                return answer.json()["predictions"][0]["score"]  # type: ignore[no-any-return]

            scores = [await ask(), await ask()]
            broken.goes_on.set()
            assert await asyncio.to_thread(broken.ended.wait, 30)
            # Meanwhile the late answer of the canary arrives.
            return scores + [await ask() for _ in range(5)]

    assert asyncio.run(ask_often()) == [LIVE] * 7
    assert broken.calls == 1
    assert results(server, "canary") == {"failed": 1.0}
    assert [(generation, slot) for _, _, generation, slot in logged(server)] == [(1, "live")] * 7
    assert server.slots.sides.canaries["toy"].in_flight == 0


@pytest.mark.parametrize(
    ("inline_seconds", "moment"), [(0, "before_flush"), (1, "before_flush"), (1, "on_flushed")]
)
def test_request_is_logged_once_whenever_its_canary_is_given_up(
    toys: ToyStore, inline_seconds: float, moment: str
) -> None:
    """Before its answer is logged the canary is forgotten; after that it has answered."""
    toys.put_and_release(LIVE)
    server = InferenceServer(toys, inline_seconds=inline_seconds)
    start(server, toys, 1.0)
    canary = server.slots.sides.canaries["toy"]

    async def give_up() -> bool:
        batch = canary.schema.batch([ROW])
        answer = asyncio.ensure_future(
            server.predictor.predict(canary, batch, event_time=None, traceparent="", key=None)
        )
        getattr(server.predictor.queue, moment)(answer.cancel)
        await asyncio.wait([answer], timeout=30)
        return not answer.cancelled()

    is_answered = moment == "on_flushed"
    assert asyncio.run(give_up()) == is_answered
    assert len(logged(server)) == is_answered


def test_each_kind_of_failure_is_logged_once_a_canary() -> None:
    """Whatever the canaries of other models do; generations are counted per model."""
    answers = CanaryAnswers(Slots(), PredictionIds(b"key"), SlotMetrics(CollectorRegistry()))

    def warned(*failures: tuple[str, int, Exception]) -> list[tuple[str, str]]:
        with capture_logs() as lines:
            for model, generation, error in failures:
                canary: Any = SimpleNamespace(model=model, generation=generation, version_short="0" * 12)
                answers._failed(canary, error)
        return [(line["model"], line["problem"]) for line in lines]

    broken, odd = RuntimeError("out of order"), ValueError("odd")
    assert warned(*[("a", 5, broken), ("b", 5, broken), ("c", 9, broken), ("b", 5, odd)] * 3) == [
        ("a", "out of order"),
        ("b", "out of order"),
        ("c", "out of order"),
        ("b", "odd"),
    ]
    # The next canary of a model is logged anew; the former one is not kept.
    assert warned(("a", 7, broken), ("a", 7, broken), ("b", 5, odd)) == [("a", "out of order")]
    assert {one[1] for one in answers._logged if one[0] == "a"} == {7}


def test_invalid_request_is_refused_once(server: InferenceServer, toys: ToyStore) -> None:
    start(server, toys, 1.0)
    assert server.predict({**ROW, "colour": "ultraviolet"}).status_code == 422
    assert results(server, "canary") == {}
    for key in ("", "x" * 257, 7):
        refused = server.predict(ROW, key=key)
        assert (refused.status_code, refused.json()["field"]) == (400, "key")


def test_canary_that_cannot_be_loaded_leaves_live_alone(server: InferenceServer, toys: ToyStore) -> None:
    version = toys.put(CANARY, said=0.1).version  # its reference claims other scores
    toys.start(version, share=1.0)
    server.poller.poll()
    assert server.predict(ROW).json()["generation"] == 1
    assert server.sample("homeostat_inference_slot_failed", model="toy", slot="canary") == 1
    assert server.sample("homeostat_inference_release_failed", model="toy") == 0
    (side,) = server.ask("GET", "/status.json").json()["models"][0]["sides"]
    assert side["slot"] == "canary"
    assert side["last_error"]
    toys.start(version, share=0)
    server.poller.poll()
    assert server.sample("homeostat_inference_slot_failed", model="toy", slot="canary") == 0
    assert server.ask("GET", "/status.json").json()["models"][0]["sides"] == []


def test_withdrawn_canary_answers_no_more(server: InferenceServer, toys: ToyStore) -> None:
    version = start(server, toys, 1.0)
    assert server.predict(ROW).json()["slot"] == "canary"
    canary = server.slots.sides.canaries["toy"]
    toys.start(version, share=0)
    server.poller.poll()
    assert server.predict(ROW).json()["generation"] == 1
    assert canary._engine is None  # unloaded: no request used it
    assert server.sample("homeostat_inference_loaded_versions", model="toy") == 1


def test_server_that_starts_while_a_canary_runs_serves_it_at_once(
    server: InferenceServer, toys: ToyStore
) -> None:
    version = start(server, toys, 0.5)
    toys.start(version, "shadow")
    after = InferenceServer(toys)  # polls once
    assert {one.release.slot: one.generation for one in after.slots.sides.all()} == {"canary": 2, "shadow": 3}
    for number in range(8):
        both = [one.predict(ROW, key=str(number)).json()["generation"] for one in (server, after)]
        assert both[0] == both[1]
    after.rollout.shadows.close()


def test_promoted_canary_is_live_under_its_new_generation(server: InferenceServer, toys: ToyStore) -> None:
    version = start(server, toys, 0.5)
    toys.release(version)
    server.poller.poll()
    for number in range(8):
        answer = server.predict(ROW, key=str(number)).json()
        assert (answer["version"], answer["generation"], answer.get("slot")) == (version, 3, None)
    assert server.slots.sides.all() == []


def test_protocols_say_the_slot_and_a_named_version_is_answered_by_it(
    server: InferenceServer, toys: ToyStore
) -> None:
    start(server, toys, 1.0)
    scored = server.ask("POST", "/invocations", json={"dataframe_records": [ROW], "params": {"key": "a"}})
    assert (scored.json()["slot"], scored.json()["predictions"]) == ("canary", [CANARY])
    inputs = [
        {"name": "amount", "shape": [1], "datatype": "FP32", "data": [1.0]},
        {"name": "count", "shape": [1], "datatype": "INT64", "data": [2]},
        {"name": "member", "shape": [1], "datatype": "BOOL", "data": [True]},
        {"name": "colour", "shape": [1], "datatype": "BYTES", "data": ["red"]},
    ]
    inferred = server.ask("POST", "/v2/models/toy/infer", json={"inputs": inputs, "parameters": {"key": "a"}})
    assert inferred.json()["parameters"] == {
        **inferred.json()["parameters"],
        "slot": "canary",
        "generation": 2,
    }
    live = server.slots.acquire("toy").version
    named = server.ask("POST", f"/v2/models/toy/versions/{live}/infer", json={"inputs": inputs}).json()
    assert (named["model_version"], "slot" in named["parameters"]) == (live, False)
