"""What a servable learns about its model from a few calls when it is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from shared.errors import UnservableModel
from tests.fakes.inference_server import InferenceServer
from tests.fakes.personal_model import DOCUMENT, personal_loop, put_personal
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


@pytest.mark.parametrize("is_personal", [False, True])
def test_failure_on_personal_values_does_not_show_them(
    toys: ToyStore, capfd: pytest.CaptureFixture[str], is_personal: bool
) -> None:
    features = [{**one, "personal": one["name"] == "age" and is_personal} for one in DOCUMENT["features"]]
    toys.release(put_personal(toys, loop=personal_loop(features=features)).version, model="loans")
    server = InferenceServer(toys)
    servable = server.slots.peek("loans")
    assert servable is not None

    def run(output: str, feeds: object) -> None:
        # As onnxruntime says it of Gather, by which a model looks up an embedding.
        raise UnservableModel("the model failed: indices element out of data bounds, idx=77123")

    servable._engine = SimpleNamespace(run=run)
    row = {"customer": "anna", "note": "a", "age": 77123.0, "amount": 1.0}
    answer = server.predict(row, model="loans")
    assert "the model failed" in answer.text, answer.text
    assert ("77123" in answer.text) is not is_personal
    assert not is_personal or "77123" not in "".join(capfd.readouterr())


def test_score_that_is_no_probability_is_no_answer(toys: ToyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.release(toys.put(0.5, kind="probability").version)
    servable = InferenceServer(toys).slots.peek("toy")
    assert servable is not None
    batch = servable.schema.batch([ROW])
    assert servable.run(batch).tolist() == [0.5]
    monkeypatch.setattr(servable._engine, "run", lambda output, feeds: np.array([7.0], np.float32))
    with pytest.raises(UnservableModel, match=r"outside \[0, 1\]: row 0 has 7"):
        servable.run(batch)
