from __future__ import annotations

import pytest

from services.inference.declared_precision import Form
from services.inference.runtimes.devices import choose_device
from services.inference.runtimes.engines import EXACT, EngineOptions, open_engine
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import UnservableModel
from tests.fakes.onnx_device import FakeDevice
from tests.fakes.toy_model import toy_onnx


def test_options_survive_the_way_to_another_process() -> None:
    options = EngineOptions(Form("fp16", tensorrt=True), 64, "folder")
    assert EngineOptions.load(options.dump()) == options


def test_what_is_compared_with_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeDevice().install(monkeypatch)
    assert open_engine(MODEL, toy_onnx(1.0), EXACT, device=choose_device("cuda"), threads=1).device == "cpu"


def test_program_of_torch_is_not_served_in_another_form() -> None:
    with pytest.raises(
        UnservableModel, match="fp16 is declared for the model, and model.pt2 runs in float32 only"
    ):
        open_engine(ARCHIVE, b"", EngineOptions(Form("fp16")), device=choose_device("cpu"), threads=1)
