from __future__ import annotations

import pytest

from services.inference.declared_precision import DeclaredForms, Form
from shared.errors import UnservableModel


def test_form_is_declared_per_model() -> None:
    forms = DeclaredForms("fp16", {"flights": "fp32"}, ("images",))
    assert forms.of("flights") == Form("fp32")
    assert forms.of("flights").is_exact
    assert forms.of("images") == Form("fp16", tensorrt=True)
    assert (forms.of("images").runtime, str(forms.of("images"))) == ("tensorrt", "fp16 with TensorRT")
    assert not Form("fp32", tensorrt=True).is_exact
    assert DeclaredForms("fp32", {}, ("images",)).of("flights") == Form()


@pytest.mark.parametrize(
    ("form", "device", "said"),
    [
        (Form("tf32"), "cpu", "the device cpu does not support it"),
        (Form("bf16"), "cpu", "onnxruntime cannot convert a model to it"),
        (Form("bf16"), "cuda", "onnxruntime cannot convert a model to it"),
        (Form("fp32", tensorrt=True), "cpu", "TensorRT is declared for the model, but the device is cpu"),
    ],
)
def test_form_that_a_device_lacks_is_refused(form: Form, device: str, said: str) -> None:
    with pytest.raises(UnservableModel, match=said) as caught:
        form.check(device)
    assert "HOMEOSTAT_INFERENCE_" in caught.value.hint


@pytest.mark.parametrize(
    ("form", "device"),
    [(Form("fp16"), "cpu"), (Form("tf32"), "cuda"), (Form("bf16", tensorrt=True), "cuda")],
)
def test_form_that_a_device_has_is_accepted(form: Form, device: str) -> None:
    form.check(device)
