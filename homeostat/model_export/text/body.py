"""Nodes and constants of the graph that handles one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Body:
    """Nodes and constants under construction; a node's output is named after its kind."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(
        self, kind: str, given: Sequence[str], *, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output; returns the output's name."""
        result = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(given), [result], domain=domain, **attributes))
        return result

    def constant(self, value: Any) -> str:
        """Add a constant, an array of numbers or a list of texts; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(
            numpy_helper.from_array(
                np.asarray(value, dtype=object if isinstance(value, list) else None), name
            )
        )
        return name
