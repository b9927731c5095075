from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel
from services.inference.runtimes.stopped_call import CallStopped
from shared.errors import UnservableModel
from tests.fakes import bad_models
from tests.fakes.toy_model import toy_onnx

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")


def test_loaded_model_does_not_keep_its_file() -> None:
    raw = toy_onnx(2.0)
    before = sys.getrefcount(raw)
    model = OnnxModel(raw, device=CPU, threads=1)
    assert sys.getrefcount(raw) == before
    feeds: dict[str, Any] = {
        "amount": np.zeros(1, np.float32),
        "count": np.zeros((1, 1), np.int64),
        "member": np.zeros(1, bool),
        "colour": np.array(["red"], object),
    }
    assert model.run("score", feeds).tolist() == [2.0]


def test_failed_call_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    first, second, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [size])
        for name, size in (("x", "a"), ("y", "b"), ("z", "a"))
    )
    graph = helper.make_graph([helper.make_node("Div", ["x", "y"], ["z"])], "g", [first, second], [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = OnnxModel(made.SerializeToString(), device=CPU, threads=1)
    with pytest.raises(UnservableModel, match="the model failed"):
        model.run("z", {"x": np.zeros(3, np.float32), "y": np.zeros(2, np.float32)})
    assert capfd.readouterr().err == ""


def test_only_the_call_of_one_thread_is_stopped() -> None:
    """That of the other begins anew, so it still hangs until it is stopped itself."""
    model = OnnxModel(bad_models.hanging_for_some(turns=10), device=CPU, threads=1)
    feeds: dict[str, Any] = {
        "amount": np.zeros(1, np.float32),
        "count": np.full((1, 1), 1000, np.int64),
        "member": np.zeros(1, bool),
        "colour": np.array(["red"], object),
    }
    errors: dict[int, Exception] = {}
    begun = threading.Semaphore(0)

    def call(place: int) -> None:
        begun.release()
        try:
            model.run("score", feeds)
        except UnservableModel as error:
            errors[place] = error

    threads = [threading.Thread(target=call, args=(place,), daemon=True) for place in range(2)]
    for thread in threads:
        thread.start()
        begun.acquire()
    time.sleep(0.05)  # both are in the model
    for place, thread in enumerate(threads):
        while thread.is_alive():  # also where a call had not begun yet
            model.stop(thread.ident or 0)
            thread.join(0.2)
        for other in threads[place + 1 :]:
            other.join(0.3)
        assert sorted(errors) == list(range(place + 1))
    assert all(isinstance(error, CallStopped) for error in errors.values())
    assert model.run("score", {**feeds, "count": np.zeros((1, 1), np.int64)}).shape == (1,)
