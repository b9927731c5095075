"""What a servable learns about its model from a few calls when it is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore


@pytest.fixture
def servable(toys: ToyStore) -> Servable:
    toys.put_and_release(0.5)
    servable = InferenceServer(toys).slots.peek("toy")
    assert servable is not None
    return servable


def measured(servable: Servable, busy: Callable[[int], float], rows: int = 32) -> Servable:
    """The servable after its calls were timed; a call computes for `busy` seconds of its number of rows."""

    def run(batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        end = time.thread_time() + busy(batch.rows)
        while time.thread_time() < end:
            pass
        return np.zeros(batch.rows, np.float32)

    servable.run = run  # type: ignore[method-assign]
    servable.measure(servable.schema.batch([ROW]), servable.schema.batch([ROW] * rows))
    return servable


def test_model_that_gains_from_batches_is_found(servable: Servable) -> None:
    assert measured(servable, lambda rows: 0.002).batches
    assert not measured(servable, lambda rows: 0.001 * rows).batches


def test_few_rows_say_nothing_about_batches(servable: Servable) -> None:
    assert not measured(servable, lambda rows: 0.002, rows=4).batches


def test_rows_in_a_batch_add_little(servable: Servable) -> None:
    servable = measured(servable, lambda rows: 0.002 + 0.0001 * rows)
    assert servable.seconds(1) == pytest.approx(0.0021, rel=0.2)
    assert servable.share(10) == pytest.approx(0.001, rel=0.3)
    servable.batches = False
    assert servable.share(10) == servable.seconds(10)


def test_waiting_does_not_make_a_model_slow(servable: Servable) -> None:
    """A busy machine must not send the calls of a quick model to threads."""

    def run(batch: Batch) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        time.sleep(0.02)
        return np.zeros(batch.rows, np.float32)

    servable.run = run  # type: ignore[method-assign]
    servable.measure(servable.schema.batch([ROW]), servable.schema.batch([ROW] * 32))
    assert servable.seconds(1) < 0.004
