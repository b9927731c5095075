"""The training command: reads train.parquet, writes model.onnx and metrics.json.

    HOMEOSTAT_TRAIN=train.parquet HOMEOSTAT_OUT=out python train.py

A small torch network. Scaling and missing values are part of its `forward`; the one thing torch cannot hold, text, is an
ONNX node in front of it. Replace `Network` by yours.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import onnx
import pandas as pd
import torch
from onnx import TensorProto, compose, helper
from torch import Tensor, nn

CATEGORIES = {"service": ["economy", "standard", "express"]}
NUMBERS = ["distance_km", "weight_kg"]
INTEGERS = ["parcels_today"]
FEATURES = [*CATEGORIES, *NUMBERS, *INTEGERS]
EPOCHS = 60
OPSET = 18
VALIDATION = 0.1  # share of the rows, the newest, that metrics.json is measured on


class Network(nn.Module):
    """One tensor [N] per feature in, a probability [N] out. A code of 0 is a value that training never saw."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor, width: int = 32) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(len(values) + 1, 4) for values in CATEGORIES.values())
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        inputs = 4 * len(CATEGORIES) + len(NUMBERS) + len(INTEGERS)
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, *features: Tensor) -> Tensor:
        """Probabilities [N]."""
        codes, raw = features[: len(CATEGORIES)], features[len(CATEGORIES) :]
        numbers = torch.stack([column.float() for column in raw], dim=1)
        scaled = (torch.where(torch.isnan(numbers), self.mean, numbers) - self.mean) / self.spread
        embedded = [embedding(code) for embedding, code in zip(self.embeddings, codes, strict=True)]
        return torch.sigmoid(self.layers(torch.cat([*embedded, scaled], dim=1))).squeeze(1)


def read(path: str) -> tuple[list[Tensor], Tensor]:
    """One tensor per feature, categories as codes, and the outcome."""
    rows = pd.read_parquet(path).sort_values("event_time", kind="stable")
    codes = [pd.Index(values).get_indexer(pd.Index(rows[name])) + 1 for name, values in CATEGORIES.items()]
    columns = [
        *(torch.tensor(code, dtype=torch.int64) for code in codes),
        *(torch.tensor(rows[name].to_numpy("float32")) for name in NUMBERS),
        *(torch.tensor(rows[name].to_numpy("int64")) for name in INTEGERS),
    ]
    return columns, torch.tensor(rows["outcome"].to_numpy("float32"))


def train(columns: list[Tensor], outcome: Tensor) -> Network:
    """Fit the network; the same rows give the same network."""
    torch.manual_seed(1)
    numbers = torch.stack([column.float() for column in columns[len(CATEGORIES) :]], dim=1)
    mean = torch.nanmean(numbers, dim=0)
    spread = torch.nanmean((numbers - mean) ** 2, dim=0).sqrt() + 1e-9
    network = Network(mean, spread)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(outcome)), 512):
            loss = nn.functional.binary_cross_entropy(
                network(*(column[rows] for column in columns)), outcome[rows]
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return network.eval()


def text_to_codes() -> onnx.ModelProto:
    """The part in front: a text [N] per category in, its code [N] out."""
    nodes, inputs, outputs = [], [], []
    for name, values in CATEGORIES.items():
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [name],
                [f"{name}_code"],
                domain="ai.onnx.ml",
                keys_strings=values,
                values_int64s=list(range(1, len(values) + 1)),
                default_int64=0,
            )
        )
        inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, ["rows"]))
        outputs.append(helper.make_tensor_value_info(f"{name}_code", TensorProto.INT64, ["rows"]))
    return helper.make_model(
        helper.make_graph(nodes, "text_to_codes", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )


def write_onnx(path: Path, network: Network, columns: list[Tensor]) -> None:
    """One input [N] per feature under its name, one output `score` [N]."""
    # torch.onnx logs a warning for every optional package that is missing.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    names = [f"{name}_encoded" for name in CATEGORIES] + NUMBERS + INTEGERS
    torch.onnx.export(
        network,
        tuple(column[:2] for column in columns),
        path,
        input_names=names,
        output_names=["score"],
        dynamic_shapes=((({0: torch.export.Dim.DYNAMIC},) * len(columns)),),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    exported = onnx.load(path)
    exported.ir_version = 10
    joined = compose.merge_models(
        text_to_codes(), exported, io_map=[(f"{name}_code", f"{name}_encoded") for name in CATEGORIES]
    )
    onnx.checker.check_model(joined)
    path.write_bytes(joined.SerializeToString())


def main() -> None:
    """Train on the older rows, measure on the newest, write both files."""
    columns, outcome = read(os.environ["HOMEOSTAT_TRAIN"])
    cut = int(len(outcome) * (1 - VALIDATION))
    network = train([column[:cut] for column in columns], outcome[:cut])
    with torch.no_grad():
        scores = network(*(column[cut:] for column in columns))
        loss = nn.functional.binary_cross_entropy(scores, outcome[cut:])
    out = Path(os.environ["HOMEOSTAT_OUT"])
    write_onnx(out / "model.onnx", network, columns)
    (out / "metrics.json").write_text(json.dumps({"log_loss": loss.item()}))


if __name__ == "__main__":
    main()
