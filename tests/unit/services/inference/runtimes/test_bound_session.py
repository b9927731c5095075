"""Bound calls answer as plain ones: with onnxruntime's own binding on the CPU, and on a device that remembers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import pytest

from loadtests.bench_model import example_rows, write_models
from services.inference.runtimes.bound_session import BoundSession
from services.inference.runtimes.devices import Device, choose_device
from services.inference.runtimes.onnx import OnnxModel
from shared.errors import UnservableModel
from tests.fakes.onnx_device import FakeDevice
from tests.fakes.toy_model import toy_onnx

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return (folder / "mlp.onnx").read_bytes()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    return FakeDevice().install(monkeypatch)


def plain(mlp: bytes, rows: Any) -> Any:
    return OnnxModel(mlp, device=CPU, threads=1).run("y", {"x": rows})


@pytest.mark.parametrize("on_device", [frozenset(), frozenset({"x", "y"})])
def test_binding_of_onnxruntime_answers_as_a_plain_call(mlp: bytes, on_device: frozenset[str]) -> None:
    session = onnxruntime.InferenceSession(mlp, providers=["CPUExecutionProvider"])
    bound = BoundSession(session, kind="cpu", on_device=on_device, sizes=(1, 2, 4, 8))
    rows = example_rows("mlp", 21)
    for count in (
        1,
        3,
        8,
        21,
        2,
        7,
        5,
        6,
        4,
        21,
    ):  # more shapes than are kept, and more rows than the largest
        answers = bound.run("y", {"x": rows[:count]})
        np.testing.assert_allclose(answers, plain(mlp, rows[:count]), rtol=1e-6)


def test_answers_are_not_overwritten_by_the_next_call(mlp: bytes) -> None:
    session = onnxruntime.InferenceSession(mlp, providers=["CPUExecutionProvider"])
    bound = BoundSession(session, kind="cpu", on_device=frozenset({"x", "y"}), sizes=(4,))
    rows = example_rows("mlp", 8)
    first = bound.run("y", {"x": rows[:4]})
    before = first.copy()
    bound.run("y", {"x": rows[4:]})
    np.testing.assert_array_equal(first, before)


def test_threads_do_not_mix_their_rows(device: FakeDevice, mlp: bytes) -> None:
    model = OnnxModel(mlp, device=choose_device("cuda"), threads=1)
    device.copy_seconds = 0.002
    rows = example_rows("mlp", 16)
    wanted = plain(mlp, rows)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda row: model.run("y", {"x": rows[row : row + 1]}), range(16)))
    np.testing.assert_allclose(np.concatenate(answers), wanted, rtol=1e-5)


def test_memory_of_the_device_is_kept_between_calls(device: FakeDevice, mlp: bytes) -> None:
    model = OnnxModel(mlp, device=choose_device("cuda"), threads=1, maximum_batch_rows=8)
    assert model.batch_sizes == (1, 2, 3, 4, 6, 8)
    rows = example_rows("mlp", 20)
    for count in (5, 6, 5):
        np.testing.assert_allclose(model.run("y", {"x": rows[:count]}), plain(mlp, rows[:count]), rtol=1e-6)
    assert device.allocated == [(6, 32)]
    assert (device.calls, device.copied, device.outputs_on) == ([6] * 3, ["device"] * 3, ["cuda"])
    assert model.run("y", {"x": rows}).shape == (20, 2)
    assert device.calls[3:] == [8, 8, 4], "memory is bounded by the largest size"


def test_rarely_used_shapes_lose_their_memory(device: FakeDevice, mlp: bytes) -> None:
    model = OnnxModel(mlp, device=choose_device("cuda"), threads=1)
    rows = example_rows("mlp", 32)
    for count in (32, 1, 2, 3, 32, 4, 6, 32, 1):
        model.run("y", {"x": rows[:count]})
    assert [shape[0] for shape in device.allocated] == [32, 1, 2, 3, 4, 6, 1]


def test_input_of_an_operator_on_the_cpu_stays_in_host_memory(device: FakeDevice, mlp: bytes) -> None:
    device.in_host_memory = frozenset({"x"})
    model = OnnxModel(mlp, device=choose_device("cuda"), threads=1)
    model.run("y", {"x": example_rows("mlp", 2)})
    assert (device.allocated, device.copied, device.outputs_on) == ([], ["host"], ["cuda"])


def test_texts_are_read_on_the_cpu(device: FakeDevice) -> None:
    model = OnnxModel(toy_onnx(3.0), device=choose_device("cuda"), threads=1)
    feeds: dict[str, Any] = {
        "amount": np.ones(2, np.float32),
        "count": np.ones((2, 1), np.int64),
        "member": np.ones(2, bool),
        "colour": np.array(["red", "green"], object),
    }
    assert model.run("score", feeds).tolist() == [3.0, 3.0]
    assert model.batch_sizes == ()
    assert device.calls == []


def test_failed_call_says_why(device: FakeDevice, mlp: bytes) -> None:
    model = OnnxModel(mlp, device=choose_device("cuda"), threads=1)
    with pytest.raises(UnservableModel, match="the model failed"):
        model.run("y", {"x": np.ones((2, 31), np.float32)})


def test_cuda_multiplies_float32_as_such(device: FakeDevice, mlp: bytes) -> None:
    OnnxModel(mlp, device=choose_device("cuda"), threads=1)
    ((cuda, cpu),) = device.opened
    assert cpu == "CPUExecutionProvider"
    assert cuda[0] == "CUDAExecutionProvider"
    assert (cuda[1]["use_tf32"], cuda[1]["device_id"]) == ("0", "0")
