"""The network and its ONNX form: raw features in, the probability of a late arrival out.

What prepares the features (category tables, scaling, missing values) is part of the network, so that training and
serving use the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

CATEGORIES = ("carrier", "origin", "dest", "weekday", "hour")
NUMBERS = ("distance", "temp", "humid", "wind_speed", "precip", "pressure", "visib")
INTEGERS = frozenset({"hour"})

RARE = 0  # the embedding shared by all values that training saw too seldom, or never
EDGE = 0.005  # share of the training rows beyond each edge; a number out there counts as the edge itself


@dataclass(frozen=True)
class Preparation:
    """What training learns about the raw features: tables of category values, means and spreads of numbers."""

    tables: Mapping[str, tuple[str | int, ...]]
    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, rows: pd.DataFrame, seen_at_least: int) -> Preparation:
        """Learn from training rows; a category value seen fewer than `seen_at_least` times is rare."""
        tables: dict[str, tuple[str | int, ...]] = {}
        for name in CATEGORIES:
            counts = rows[name].value_counts()
            common = sorted(counts[counts >= seen_at_least].index)
            # A table may not be empty in ONNX: a training set this small keeps its commonest value.
            tables[name] = tuple(common or counts.index[:1])
        numbers = rows[list(NUMBERS)].astype("float64")
        mean = numbers.mean().fillna(0.0).to_numpy("float32")
        spread = numbers.std(ddof=0).fillna(0.0).to_numpy("float32")
        low, high = (numbers.quantile(at).fillna(0.0).to_numpy("float32") for at in (EDGE, 1 - EDGE))
        return cls(tables, mean, np.where(spread > 0, spread, 1).astype("float32"), low, high)

    def codes(self, rows: pd.DataFrame) -> Tensor:
        """Category values as rows of the embedding tables, int64 [N, categories]."""
        columns = []
        for name in CATEGORIES:
            code = pd.Index(self.tables[name]).get_indexer(pd.Index(rows[name])) + 1
            columns.append(torch.from_numpy(code.astype("int64")))
        return torch.stack(columns, dim=1)

    def numbers(self, rows: pd.DataFrame) -> Tensor:
        """Raw numbers, NaN where missing, float32 [N, numbers]."""
        return torch.from_numpy(rows[list(NUMBERS)].to_numpy("float32", copy=True))


class LateFlights(nn.Module):
    """An embedding per category, two layers, one logit."""

    mean: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, preparation: Preparation, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.preparation = preparation
        sizes = [len(preparation.tables[name]) + 1 for name in CATEGORIES]
        embeddings = [nn.Embedding(size, min(8, 2 + size // 4)) for size in sizes]
        for embedding in embeddings:
            nn.init.normal_(embedding.weight, std=0.1)
        self.embeddings = nn.ModuleList(embeddings)
        for name in ("mean", "spread", "low", "high"):
            self.register_buffer(name, torch.from_numpy(getattr(preparation, name)))
        inputs = sum(embedding.embedding_dim for embedding in embeddings) + 2 * len(NUMBERS)
        self.hidden = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width // 2)
        self.last = nn.Linear(width // 2, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """Logits [N]."""
        embedded = [embedding(codes[:, place]) for place, embedding in enumerate(self.embeddings)]
        missing = torch.isnan(numbers)
        known = torch.where(missing, self.mean, torch.clamp(numbers, self.low, self.high))
        scaled = (known - self.mean) / self.spread
        inputs = torch.cat([*embedded, scaled, missing.float()], dim=1)
        first = self.drop(torch.relu(self.hidden(self.drop(inputs))))
        logits: Tensor = self.last(self.drop(torch.relu(self.second(first))))
        return logits.squeeze(1)

    @torch.no_grad()
    def score(self, rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Probability of a late arrival per row."""
        self.eval()
        logits = self(self.preparation.codes(rows), self.preparation.numbers(rows))
        return torch.sigmoid(logits).numpy()


def write_onnx(network: LateFlights, path: Path) -> None:
    """Write the network as ONNX: one input [N] per feature under its name, one output `score` [N].

    The graph is the forward pass above written out node by node, from raw strings and numbers on.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    inputs: list[onnx.ValueInfoProto] = []

    def constant(name: str, value: npt.NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def node(kind: str, given: Sequence[str], result: str, **attributes: Any) -> str:
        domain = "ai.onnx.ml" if kind == "LabelEncoder" else ""
        nodes.append(helper.make_node(kind, list(given), [result], domain=domain, **attributes))
        return result

    parts = []
    for name, embedding in zip(CATEGORIES, network.embeddings, strict=True):
        table = network.preparation.tables[name]
        whole = name in INTEGERS
        inputs.append(
            helper.make_tensor_value_info(name, TensorProto.INT64 if whole else TensorProto.STRING, ["rows"])
        )
        keys = (
            {"keys_int64s": [int(key) for key in table]}
            if whole
            else {"keys_strings": [str(key) for key in table]}
        )
        values = list(range(1, len(table) + 1))
        code = node("LabelEncoder", [name], f"{name}_code", values_int64s=values, default_int64=RARE, **keys)
        weight = constant(f"{name}_embedding", embedding.get_parameter("weight").detach().numpy())
        parts.append(node("Gather", [weight, code], f"{name}_embedded"))

    axis = constant("axis", np.array([1], dtype=np.int64))
    for name in NUMBERS:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]))
    columns = [node("Unsqueeze", [name, axis], f"{name}_column") for name in NUMBERS]
    numbers = node("Concat", columns, "numbers", axis=1)
    mean, spread, low, high = (
        constant(name, getattr(network.preparation, name)) for name in ("mean", "spread", "low", "high")
    )
    missing = node("IsNaN", [numbers], "missing")
    within = node("Min", [node("Max", [numbers, low], "above_low"), high], "within")
    known = node("Where", [missing, mean, within], "known")
    parts.append(node("Div", [node("Sub", [known, mean], "centred"), spread], "scaled"))
    parts.append(node("Cast", [missing], "missing_flags", to=TensorProto.FLOAT))

    value = node("Concat", parts, "inputs", axis=1)
    for name, layer in (("hidden", network.hidden), ("second", network.second), ("last", network.last)):
        weight = constant(f"{name}_weight", layer.weight.detach().numpy())
        bias = constant(f"{name}_bias", layer.bias.detach().numpy())
        value = node("Gemm", [value, weight, bias], f"{name}_sum", transB=1)
        if name != "last":
            value = node("Relu", [value], f"{name}_active")
    node("Squeeze", [node("Sigmoid", [value], "probability"), axis], "score")

    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows"])
    graph = helper.make_graph(nodes, "late_flights", inputs, [output], constants)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
