"""Copies of answered requests for a shadow: off the request's path, bounded, never logged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from services.inference.prediction.call_group import CallGroup
from services.inference.rollout.shadow import Shadows
from services.inference.rollout.shadow_copies import copies_of
from services.inference.rollout.share import is_in_share
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore

LIVE, SHADOW = 0.25, 0.75


class GatedEngine:
    """Answers once the gate is open; remembers the rows of each call."""

    def __init__(self, engine: Any, answer: float = SHADOW) -> None:
        self._engine = engine
        self.answer = answer
        self.gate = threading.Event()
        self.began = threading.Event()
        self.calls: list[int] = []

    def run(self, output: str, feeds: Any) -> Any:
        answered = np.full_like(self._engine.run(output, feeds), self.answer)
        self.calls.append(len(answered))
        self.began.set()
        assert self.gate.wait(10)
        return answered


@pytest.fixture
def server(toys: ToyStore) -> Iterator[InferenceServer]:
    toys.put_and_release(LIVE)
    made = InferenceServer(toys)
    yield made
    made.rollout.shadows.close()


def start(server: InferenceServer, toys: ToyStore, share: float = 1.0, *, model: str = "toy") -> str:
    version = toys.put(SHADOW, model=model).version
    toys.start(version, "shadow", share, model=model)
    server.poller.poll()
    return version


def gate(server: InferenceServer, answer: float = SHADOW, *, model: str = "toy") -> GatedEngine:
    shadow = server.slots.sides.shadows[model]
    made = GatedEngine(shadow._engine, answer)
    shadow._engine = made  # type: ignore[assignment]
    return made


def result(server: InferenceServer, name: str, *, model: str = "toy") -> float:
    shadow = server.slots.sides.shadows[model]
    labels = {"model": model, "slot": "shadow", "version": shadow.version_short, "result": name}
    return server.sample("homeostat_inference_slot_requests_total", **labels) or 0


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_shadow_answers_copies_that_nobody_receives(server: InferenceServer, toys: ToyStore) -> None:
    before = server.predict(ROW, ROW).json()
    version = start(server, toys)
    for _ in range(5):
        answer = server.predict(ROW, ROW).json()
        assert answer.keys() == before.keys()
        assert [one["score"] for one in answer["predictions"]] == [LIVE, LIVE]
    wait_for(lambda: result(server, "answered") == 5)
    rows = [identity for record in server.spool.predictions for identity in record["prediction_ids"]]
    assert len(rows) == 12
    assert {record["slot"] for record in server.spool.predictions} == {"live"}
    labels = {"model": "toy", "version": version[:12]}
    wait_for(lambda: server.sample("homeostat_inference_shadow_difference_count", **labels) == 5)
    assert server.sample("homeostat_inference_shadow_difference_sum", **labels) == 5 * (SHADOW - LIVE)


def test_slow_shadow_holds_no_request_up_and_its_copies_are_dropped(
    server: InferenceServer, toys: ToyStore
) -> None:
    start(server, toys)
    slow = gate(server)
    shadows = Shadows(server.slots, server.rollout.metrics, maximum_rows=4)
    server.predictor.queue.on_handed_out(shadows.copy)
    server.predict(ROW)
    assert slow.began.wait(10)
    # The first copy is being answered; four rows fit into the queue.
    for _ in range(3):
        assert server.predict(ROW, ROW).status_code == 200
    assert result(server, "dropped") == 1
    assert server.sample("homeostat_inference_shadow_queued_rows") == 4
    slow.gate.set()
    wait_for(lambda: result(server, "answered") == 3)
    assert server.sample("homeostat_inference_shadow_queued_rows") == 0
    shadows.close()
    server.predict(ROW)
    assert result(server, "dropped") == 2


def test_shadow_that_hangs_stops_no_other(server: InferenceServer, toys: ToyStore) -> None:
    """Its copies fail until its call ends; that call is counted once, and then it is called again."""
    toys.put_and_release(LIVE, model="other")
    start(server, toys)
    start(server, toys, model="other")
    hung = gate(server)
    shadows = Shadows(server.slots, server.rollout.metrics, maximum_rows=4, maximum_seconds=1000.0)
    server.predictor.queue.on_handed_out(shadows.copy)

    def ask(model: str) -> None:
        assert server.predict(ROW, model=model).status_code == 200

    ask("toy")
    assert hung.began.wait(10)
    ask("toy")
    ask("other")
    its_time_is_over(shadows)
    ask("toy")  # finds the call late: with it fail the copy that waits, and this one
    assert result(server, "failed") == 3
    wait_for(lambda: result(server, "answered", model="other") == 1)
    for asked in range(8):  # more than fit into the queue
        ask("toy")
        ask("other")
        wait_for(lambda asked=asked: result(server, "answered", model="other") == 2 + asked)  # type: ignore[misc]
    assert result(server, "failed") == 11
    assert hung.calls == [1]
    hung.gate.set()
    wait_for(lambda: not shadows._hanging)
    assert result(server, "answered") == 0
    ask("toy")
    wait_for(lambda: result(server, "answered") == 1)
    assert (result(server, "failed"), result(server, "dropped")) == (11, 0)
    assert (shadows._rows, shadows._bytes) == (0, 0)
    shadows.close()


def its_time_is_over(shadows: Shadows) -> None:
    assert shadows._call is not None
    shadows._call.until = 0.0


def test_shadow_that_ended_while_its_call_hangs_is_no_failure(
    server: InferenceServer, toys: ToyStore
) -> None:
    toys.put_and_release(LIVE, model="other")
    version = start(server, toys)
    start(server, toys, model="other")
    hung, shadow = gate(server), server.slots.sides.shadows["toy"]
    shadows = Shadows(server.slots, server.rollout.metrics)
    server.predictor.queue.on_handed_out(shadows.copy)
    server.predict(ROW, model="toy")
    assert hung.began.wait(10)
    toys.start(version, "shadow", 0)
    server.poller.poll()
    its_time_is_over(shadows)
    server.predict(ROW, model="other")
    wait_for(lambda: result(server, "answered", model="other") == 1)
    assert server.rollout.metrics.of(shadow, "shadow")["requests"] == {}
    hung.gate.set()
    shadows.close()


@pytest.mark.parametrize(("measured", "least"), [(0.0, 20.0), (5.0, 50.0)])
def test_call_that_is_measured_as_slow_may_take_longer(
    server: InferenceServer, toys: ToyStore, monkeypatch: pytest.MonkeyPatch, measured: float, least: float
) -> None:
    start(server, toys)
    shadow = server.slots.sides.shadows["toy"]
    groups: list[CallGroup] = []
    server.predictor.queue.on_handed_out(groups.extend)
    server.predict(ROW)
    monkeypatch.setattr(shadow, "seconds", lambda rows: measured)
    shadows = Shadows(server.slots, server.rollout.metrics, maximum_seconds=20.0)
    before = time.monotonic()
    until = shadows._begin(list(copies_of(groups[0], shadow))).until
    assert before + least <= until <= time.monotonic() + least


def test_shadow_that_hangs_does_not_hold_up_the_end(server: InferenceServer, toys: ToyStore) -> None:
    start(server, toys)
    hung = gate(server)
    server.predict(ROW)
    assert hung.began.wait(10)
    began = time.monotonic()
    server.rollout.shadows.close()
    assert time.monotonic() - began < 5
    hung.gate.set()


def test_failing_shadow_is_counted_and_nothing_else(server: InferenceServer, toys: ToyStore) -> None:
    start(server, toys)
    gate(server, answer=float("nan")).gate.set()
    for _ in range(3):
        assert server.predict(ROW).json()["predictions"][0]["score"] == LIVE
    wait_for(lambda: result(server, "non_finite") == 3)
    assert result(server, "answered") == 0


def test_share_of_the_copies_is_by_the_prediction_id(server: InferenceServer, toys: ToyStore) -> None:
    version = start(server, toys, share=0.4)
    ids = [server.predict(ROW).json()["predictions"][0]["prediction_id"] for _ in range(30)]
    expected = sum(is_in_share(one, model="toy", version=version, share=0.4) for one in ids)
    assert 0 < expected < 30
    wait_for(lambda: result(server, "answered") == expected)


def test_answers_of_a_canary_are_not_copied(server: InferenceServer, toys: ToyStore) -> None:
    start(server, toys)
    toys.start(toys.put(0.5).version, "canary", 0.5)
    server.poller.poll()
    live = sum("slot" not in server.predict(ROW).json() for _ in range(30))
    assert 0 < live < 30
    wait_for(lambda: result(server, "answered") == live)
    assert result(server, "dropped") == 0


def test_copies_for_a_shadow_that_ended_are_no_failures(server: InferenceServer, toys: ToyStore) -> None:
    version = start(server, toys)
    shadow = server.slots.sides.shadows["toy"]
    groups: list[CallGroup] = []
    server.predictor.queue.on_handed_out(groups.extend)
    server.predict(ROW)
    copies = list(copies_of(groups[0], shadow))
    toys.start(version, "shadow", 0)
    server.poller.poll()
    assert shadow._engine is None
    server.rollout.shadows._answer(copies)
    assert server.rollout.metrics.of(shadow, "shadow")["requests"] == {}
