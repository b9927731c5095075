"""What onnxruntime reports about a model, as an error that says what to do. Pure.

onnxruntime's errors have no common base, begin with names of C++ functions and end with the reason.
"""

from __future__ import annotations

import re

from shared.errors import UnservableModel

# How the message begins where a model fails on rows; the reason follows.
MODEL_FAILED = "the model failed"
_SHOWN = 300
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_IR_VERSION = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_LOCALE = re.compile(r"Failed to construct locale with name:([\w.@-]+?):")
_OTHER_LOCALE = (
    "its StringNormalizer has no `locale`, or that one: set it before the export, "
    "node.attribute.append(onnx.helper.make_attribute('locale', 'C')), which changes the case of ASCII letters; "
    "'C.UTF-8' changes that of all letters"
)
_OPSET = re.compile(r"Opset (\d+) is under development .* support for domain (\S+) is till opset (\d+)")


def cannot_load(error: Exception) -> UnservableModel:
    """The error for a model that onnxruntime refuses to load."""
    text = " ".join(str(error).split())
    if found := _IR_VERSION.search(text):
        have, most = found.groups()
        return UnservableModel(
            f"model.onnx has IR version {have}; the installed onnxruntime supports versions up to {most}",
            hint=f"set `model.ir_version = {most}` before onnx.save, or export with an older onnx",
        )
    if found := _OPSET.search(text):
        have, domain, most = found.groups()
        return UnservableModel(
            f"model.onnx uses opset {have} of {domain}; the installed onnxruntime supports opsets up to {most}",
            hint=f"export again with opset {most} or lower, such as `opset_version=17`",
        )
    if found := _LOCALE.search(text):
        own = (
            "install it: C.UTF-8 is part of Debian's package libc-bin and of Fedora's glibc-minimal-langpack"
        )
        return UnservableModel(
            f"model.onnx needs the locale {found.group(1)}, which this machine does not have",
            hint=own if found.group(1) == "C.UTF-8" else _OTHER_LOCALE,
        )
    return UnservableModel(
        f"onnxruntime cannot load model.onnx: {reason(error)}",
        hint="check model.onnx with onnx.checker and onnxruntime, then export it again",
    )


def reason(error: Exception) -> str:
    """The end of the first line, which has the reason."""
    lines = _PREFIX.sub("", str(error).strip()).splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _SHOWN else f"…{text[-_SHOWN:]}"
