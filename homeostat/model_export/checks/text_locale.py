"""Locales in which the StringNormalizer of an ONNX file changes case: the machine that serves it needs them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

# onnxruntime takes this one where the file names none.
_DEFAULT = "en_US.UTF-8"
# Those that Homeostat's own exports use: every machine has the first, and every usual one the others.
_USUAL = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})


def locale_warnings(model: onnx.ModelProto) -> list[str]:
    """A warning for each locale that a server may lack."""
    needed = {_locale(node) for node in _nodes(model.graph) if node.op_type == "StringNormalizer"}
    return [
        f"the model needs the locale {name} on the machine of the server, because of its StringNormalizer: "
        "set locale='C' (ASCII letters) or 'C.UTF-8' (all letters) on that node, or install the locale there"
        for name in sorted(needed - _USUAL)
    ]


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _locale(node: onnx.NodeProto) -> str:
    return next((one.s.decode() for one in node.attribute if one.name == "locale"), _DEFAULT)
