"""Real isolated processes: each fault of a model ends in a message that names the model, the limit and the setting."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from services.retraining.isolated_models import IsolatedModels
from shared.errors import UnservableModel
from shared.models.training.training_process import Interrupted
from tests.fakes import bad_models
from tests.fakes.torch_archive import archive
from tests.fakes.toy_model import toy_loop, toy_onnx

ROWS = pa.table({"amount": [1.0, 2.0], "count": [1, 2], "member": [True, False], "colour": ["red", "green"]})
DOING = "the champion was evaluated"


def limited(
    *, seconds: float = 60.0, mib: int = 256, stopped: Callable[[], bool] = lambda: False
) -> IsolatedModels:
    return IsolatedModels(seconds=seconds, memory_bytes=mib << 20, is_stopped=stopped)


def score(models: IsolatedModels, folder: Path, model: bytes) -> list[float]:
    path = folder / "model.onnx"
    path.write_bytes(model)
    with models.open(path, toy_loop(), DOING) as opened:
        scores: list[float] = opened.score(ROWS).tolist()
        assert 0 < opened.seconds(opened.feeds(ROWS)) < 5
    return scores


def children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process(os.getpid()).children()
        if child.status() != psutil.STATUS_ZOMBIE
    }


def test_model_is_scored_in_a_process_that_then_ends(tmp_path: Path) -> None:
    before = children()
    assert score(limited(), tmp_path, toy_onnx(3.0)) == [3.0, 3.0]
    assert children() == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            bad_models.crashing_at_load,
            "loading the champion crashed: the isolated process was ended by SIGFPE",
        ),
        (bad_models.crashing_at_scoring, "running the champion on rows of this run crashed: .* by SIGFPE"),
        (
            bad_models.greedy,
            r"the champion needed more than 256 MiB of memory while it was evaluated .*HOMEOSTAT_RETRAINING_MODEL_MEMORY_BYTES",
        ),
        (
            lambda: bad_models.greedy(numbers=128 << 20),  # 512 MiB, which this machine has
            "the champion needed more than 256 MiB of memory",
        ),
        (lambda: bytes(300 << 20), "the champion needed more than 256 MiB of memory"),
        (lambda: b"no model", "is not an ONNX model"),
    ],
)
def test_fault_of_a_model_is_an_error(tmp_path: Path, make: Callable[[], bytes], message: str) -> None:
    before = children()
    with pytest.raises(UnservableModel) as raised:
        score(limited(), tmp_path, make())
    raised.match(message)
    assert children() == before


@pytest.mark.parametrize("make", [bad_models.hanging_at_load, bad_models.hanging_at_scoring])
def test_hanging_model_is_ended_in_time(tmp_path: Path, make: Callable[[], bytes]) -> None:
    before = children()
    with pytest.raises(UnservableModel) as raised:
        score(limited(seconds=0.5), tmp_path, make())
    raised.match(
        r"the champion took longer than 0.5 s while it was evaluated .*HOMEOSTAT_RETRAINING_MODEL_SECONDS"
    )
    assert children() == before


def test_process_that_is_killed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(toy_onnx(3.0))
    before = children()
    with limited().open(path, toy_loop(), DOING) as opened:
        [pid] = children() - before
        psutil.Process(pid).kill()
        with pytest.raises(UnservableModel, match="ended by SIGKILL, which Linux sends if memory is short"):
            opened.score(ROWS)


def test_stop_of_the_service_is_no_fault_of_the_model(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(Interrupted):
        score(limited(stopped=lambda: True), tmp_path, bad_models.hanging_at_scoring())
    assert children() == before


def test_program_of_torch_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(archive())
    spec = toy_loop().model_copy(update={"features": toy_loop().features[:2]})
    with limited().open(path, spec, DOING) as opened:
        assert opened.score(ROWS).tolist() == [3.0, 6.0]
