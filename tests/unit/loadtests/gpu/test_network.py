from __future__ import annotations

import numpy as np
import onnxruntime

from loadtests.gpu.network import RESNET50, SMALL, Size, images, make_network, run_in_float64, to_onnx
from shared.models.file_safety import check_model_file


def test_onnx_file_and_float64_are_the_same_network() -> None:
    network = make_network(SMALL)
    raw = to_onnx(network)
    check_model_file(raw)
    rows = images(network, 3)
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    answers = session.run(["y"], {"x": rows})[0]
    exact = run_in_float64(network, rows)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(answers, exact, atol=1e-5)
    assert np.abs(exact).max() > 0.1
    assert not np.allclose(exact[0], exact[1], atol=1e-2), "answers depend on the image"


def test_network_is_always_the_same() -> None:
    assert to_onnx(make_network(SMALL)) == to_onnx(make_network(SMALL))
    assert to_onnx(make_network(SMALL)) != to_onnx(make_network(SMALL, seed=8))


def test_resnet50_has_its_layers_and_keeps_its_numbers_small() -> None:
    """With a sixteenth of the channels."""
    narrow = Size("narrow", 64, tuple(one // 16 for one in RESNET50.channels), RESNET50.blocks, 10)
    network = make_network(narrow)
    kinds = [step.kind for step in network.steps]
    assert (kinds.count("conv"), kinds.count("add"), kinds.count("dense")) == (53, 16, 1)
    assert 0.1 < np.abs(run_in_float64(network, images(network, 2))).max() < 100
