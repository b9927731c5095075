"""A real isolated process, shared by the tests: each fault of a model ends in a message, and the next model is served."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from services.inference.declared_precision import Form
from services.inference.isolation.process import IsolatedProcess
from services.inference.runtimes.engines import EXACT, EngineOptions
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import UnservableModel
from tests.fakes import bad_models
from tests.fakes.torch_archive import archive
from tests.fakes.toy_model import toy_onnx
from tests.waiting import bound

Array = npt.NDArray[Any]
FEEDS: dict[str, Array] = {
    "amount": np.ones(3, np.float32),
    "count": np.arange(3).reshape(-1, 1),
    "member": np.ones(3, np.bool_),
    "colour": np.array(["red", "green", "réd"], object),
}


def always() -> bool:
    return True


OTHERS: set[int] = set()  # processes that other tests started before


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process(os.getpid()).children() if child.pid not in OTHERS]


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedProcess]:
    OTHERS.update(child.pid for child in children())
    isolated = IsolatedProcess(device="cpu", threads=1, seconds=60, memory_bytes=256 << 20)
    yield isolated
    isolated.close()


def run(isolated: IsolatedProcess, model: bytes) -> list[float]:
    with isolated.open(MODEL, model, EXACT, always) as engine:
        scores: list[float] = engine.run("score", FEEDS).tolist()
        return scores


def test_models_follow_each_other_in_one_process(isolated: IsolatedProcess) -> None:
    with isolated.open(MODEL, toy_onnx(3.0), EXACT, always) as engine:
        assert (engine.device, engine.outputs[0].kind) == ("cpu", "tensor(float)")
        assert {one.name: one.shape for one in engine.inputs}["count"] == (None, 1)
        assert engine.run("score", FEEDS).tolist() == [3.0, 3.0, 3.0]
    with isolated.open(MODEL, toy_onnx(70000.0), EngineOptions(Form("fp16")), always) as engine:
        assert engine.run("score", FEEDS).tolist() == [65504.0] * 3, "the largest float16"
        assert (engine.form, engine.batch_sizes) == (Form("fp16"), ())
    before = isolated._child
    assert run(isolated, toy_onnx(4.0)) == [4.0, 4.0, 4.0]
    assert isolated._child is before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (bad_models.crashing_at_load, "loading the model crashed: .* by SIGFPE"),
        (bad_models.crashing_at_scoring, "running the model on reference rows crashed: .* by SIGFPE"),
        (bad_models.greedy, "needs more than the 256 MiB of memory"),
        (lambda: b"no model", "is not an ONNX model"),
        (lambda: toy_onnx(1.0, domain="evil"), "operators of the domain 'evil'"),
    ],
)
def test_fault_ends_in_message(isolated: IsolatedProcess, make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(UnservableModel, match=message):
        run(isolated, make())
    assert run(isolated, toy_onnx(5.0)) == [5.0, 5.0, 5.0]


def test_memory_in_reach_of_the_machine_is_limited_too(isolated: IsolatedProcess) -> None:
    """512 MiB would be there, but not for a new version."""
    with pytest.raises(UnservableModel, match="256 MiB"):
        run(isolated, bad_models.greedy(numbers=128 << 20))


@pytest.mark.parametrize("make", [bad_models.hanging_at_load, bad_models.hanging_at_scoring])
def test_hanging_model_is_ended_in_time(isolated: IsolatedProcess, make: Callable[[], bytes]) -> None:
    model = make()
    run(isolated, toy_onnx(6.0))
    isolated._seconds = 0.5
    try:
        with pytest.raises(UnservableModel, match=re.escape("took longer than 0.5 s")):
            run(isolated, model)
        assert children() == []
    finally:
        isolated._seconds = 60


def test_limit_of_time_names_a_build_of_tensorrt(
    isolated: IsolatedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(isolated, toy_onnx(6.0))
    exact = EXACT.dump()
    monkeypatch.setattr(EngineOptions, "dump", lambda self: exact)
    isolated._seconds = 0.3
    options = EngineOptions(Form(tensorrt=True))
    try:
        with (
            pytest.raises(UnservableModel, match=r"took longer than 0.3 s \(TensorRT can take minutes"),
            isolated.open(MODEL, bad_models.hanging_at_load(), options, always),
        ):
            pass
    finally:
        isolated._seconds = 60


def test_trial_ends_when_it_is_no_longer_wanted(isolated: IsolatedProcess) -> None:
    run(isolated, toy_onnx(7.0))
    asked = []

    def wanted_twice() -> bool:
        asked.append(True)
        return len(asked) < 2

    with (
        pytest.raises(UnservableModel, match="a newer release"),
        isolated.open(MODEL, bad_models.hanging_at_scoring(), EXACT, wanted_twice) as engine,
    ):
        engine.run("score", FEEDS)
    assert len(asked) == 2


def test_signals_that_stop_the_server_are_no_crash_of_the_model(isolated: IsolatedProcess) -> None:
    run(isolated, toy_onnx(8.0))
    [child] = children()
    for number in (signal.SIGTERM, signal.SIGINT):
        child.send_signal(number)
    assert run(isolated, toy_onnx(9.0)) == [9.0, 9.0, 9.0]
    assert children() == [child]
    assert os.getpgid(child.pid) != os.getpgid(0), "Ctrl-C is sent to a whole group"


def test_process_that_was_killed_is_started_again(isolated: IsolatedProcess) -> None:
    run(isolated, toy_onnx(8.0))
    [child] = children()
    child.kill()
    assert isolated._child is not None
    isolated._child.wait(bound(30))  # until its last thread has ended, later than the process is a zombie
    assert run(isolated, toy_onnx(9.0)) == [9.0, 9.0, 9.0]


def test_process_of_replaced_files_says_so(
    isolated: IsolatedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineOptions, "dump", lambda self: {"form": {}, "of_another_release": 1})
    with pytest.raises(UnservableModel, match="TypeError"):
        run(isolated, toy_onnx(7.0))
    isolated._program_replaced = lambda: True
    try:
        with pytest.raises(
            UnservableModel, match="files of this server were replaced .*TypeError.*restart the server"
        ):
            run(isolated, toy_onnx(7.0))
        monkeypatch.undo()
        assert run(isolated, toy_onnx(7.0)) == [7.0] * 3, "asked only where it does not work"
        with pytest.raises(UnservableModel, match="by SIGFPE"):
            run(isolated, bad_models.crashing_at_load())
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(UnservableModel, match="replaced .*does not start"):
            run(isolated, toy_onnx(7.0))
    finally:
        isolated._program_replaced = lambda: False


def test_reply_of_another_release_is_refused(
    isolated: IsolatedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IsolatedProcess, "_ask", lambda *_: ({"inputs": []}, memoryview(b"")))
    with pytest.raises(UnservableModel, match="failed: KeyError: 'device'"):
        run(isolated, toy_onnx(7.0))


def test_program_of_torch_runs_in_the_process(isolated: IsolatedProcess) -> None:
    """What torch itself allocates is not counted as the model's memory."""
    feeds: dict[str, Array] = {"amount": np.array([1.5], np.float32), "count": np.array([3])}
    with isolated.open(ARCHIVE, archive(), EXACT, always) as engine:
        assert engine.run("scores", feeds).tolist() == [6.0]


def test_close_ends_a_trial(isolated: IsolatedProcess) -> None:
    run(isolated, toy_onnx(8.0))
    model = bad_models.hanging_at_scoring()
    stop = threading.Timer(0.5, isolated.close)
    stop.start()
    with pytest.raises(UnservableModel, match="the server is being stopped"):
        run(isolated, model)
    stop.join()
    assert children() == []
    with pytest.raises(UnservableModel, match="the server is being stopped"):
        run(isolated, toy_onnx(8.0))
    assert children() == []
