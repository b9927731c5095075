from __future__ import annotations

import pytest

from shared.models.runtime_errors import cannot_load, reason

FAIL = "[ONNXRuntimeError] : 1 : FAIL : /src/core/graph/model.cc:256 onnxruntime::Model::Model(...) "


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            FAIL + "Unsupported model IR version: 14, max supported IR version: 13\n",
            "model.onnx has IR version 14; the installed onnxruntime supports versions up to 13",
            "model.ir_version = 13",
        ),
        (
            FAIL
            + "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. "
            "Opset 27 is under development and support for this is limited. The operator schemas and or other functionality "
            "may change. Current official support for domain ai.onnx.ml is till opset 5.",
            "model.onnx uses opset 27 of ai.onnx.ml; the installed onnxruntime supports opsets up to 5",
            "opset 5 or lower",
        ),
        (
            FAIL
            + "Failed to construct locale with name:C.UTF-8:locale::facet::_S_create_c_locale name not valid:"
            "Please, install necessary language-pack-XX and configure locales",
            "model.onnx needs the locale C.UTF-8, which this machine does not have",
            "libc-bin",
        ),
        (
            FAIL
            + "Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid",
            "model.onnx needs the locale en_US.UTF-8, which this machine does not have",
            "node.attribute.append(onnx.helper.make_attribute('locale', 'C'))",
        ),
        (FAIL + "Type Error\nmore", "onnxruntime cannot load model.onnx: /src", "onnx.checker"),
    ],
)
def test_refusal_names_the_versions(text: str, message: str, hint: str) -> None:
    error = cannot_load(RuntimeError(text))
    assert error.message.startswith(message)
    assert hint in error.hint


def test_reason_is_the_end_of_the_first_line() -> None:
    assert (
        reason(RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : wrong shape\nof x")) == "wrong shape"
    )
    assert reason(RuntimeError("x" * 400 + " the reason")).endswith("the reason")
    assert len(reason(RuntimeError("x" * 400))) == 301
    assert reason(ValueError()) == "ValueError"
