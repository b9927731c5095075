from __future__ import annotations

import subprocess
import sys

from services.inference.on_demand.memory_meter import MemoryMeter

# In a process of its own: other tests' memory must not count. Prints the growth of two loads and what stays after them, in MiB.
PROGRAM = """
from services.inference.on_demand.memory_meter import MemoryMeter, resident_bytes
from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel
import numpy as np
from onnx import TensorProto, helper, numpy_helper

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")

def session(width):
    weights = numpy_helper.from_array(np.ones((width, width), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, width])], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return OnnxModel(model.SerializeToString(), device=CPU, threads=1)

session(8)
meter = MemoryMeter()
start = resident_bytes()
held, first = meter.measure(lambda: session(2048))
other, second = meter.measure(lambda: session(2048))
held = other = None
meter.settle()
print(first >> 20, second >> 20, resident_bytes() - start >> 20)
"""


def test_growth_is_that_of_the_loaded_weights() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120
    )
    first, second, kept = map(int, done.stdout.split())
    # 16 MiB of weights; the allocator's copies would show as twice to three times that.
    assert 15 <= first <= 24
    assert 15 <= second <= 24
    assert kept <= 8


def test_readings_are_taken_when_memory_is_settled() -> None:
    events: list[str] = []
    readings = iter([100, 350])

    def read() -> int:
        events.append("read")
        return next(readings)

    meter = MemoryMeter(read, lambda: events.append("settle"))
    assert meter.measure(lambda: events.append("load")) == (None, 250)
    assert events == ["settle", "read", "load", "settle", "read"]


def test_shrinking_memory_is_no_growth() -> None:
    readings = iter([100, 60])
    assert MemoryMeter(lambda: next(readings), lambda: None).measure(lambda: 1) == (1, 0)
