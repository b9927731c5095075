"""Counts of a vectorizer by its exported form, in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper

from homeostat.model_export.text.term_counts import TermCounts

Counts = npt.NDArray[np.float32]


def counter(terms: TermCounts) -> Callable[[Sequence[str]], Counts]:
    """Counts for texts, [N, terms]."""
    graph = helper.make_graph(
        [terms.scan()],
        "counts",
        [helper.make_tensor_value_info("texts", TensorProto.STRING, ["rows"])],
        [helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["rows", terms.width])],
    )
    opsets = [helper.make_opsetid(*one) for one in (("", 20), ("ai.onnx.ml", 3), ("com.microsoft", 1))]
    model: Any = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def count(texts: Sequence[str]) -> Counts:
        counts: Counts = session.run(["counts"], {"texts": np.array(texts, dtype=object)})[0]
        return counts

    return count
