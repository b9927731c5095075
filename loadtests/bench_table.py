"""The model with named columns, seeded: 12 numbers and 4 categories, as most tables have them; one probability per row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from loadtests.bench_model import REFERENCE_ROWS, package_and_release

NAME = "table"
NUMBERS = (
    "distance_km",
    "weight_kg",
    "volume_l",
    "value_eur",
    "parcels_today",
    "stops",
    "temperature",
    "wind_speed",
    "pressure",
    "age_days",
    "delay_minutes",
    "fuel_price",
)
CATEGORIES = {
    "service": ("economy", "standard", "express", "night"),
    "region": ("north", "east", "south", "west"),
    "carrier": ("own", "partner", "courier"),
    "weekday": ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
}
_HIDDEN = 64
_EMBEDDED = 4


def write_table_model(folder: Path) -> None:
    """Write table.onnx: numbers and embedded categories side by side, two dense layers."""
    random = np.random.default_rng(13)
    nodes, weights = [], dict[str, Any]()
    for name, values in CATEGORIES.items():
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [name],
                [f"{name}_place"],
                domain="ai.onnx.ml",
                keys_strings=list(values),
                values_int64s=list(range(len(values))),
                default_int64=0,
            )
        )
        weights[f"{name}_embedding"] = random.normal(0, 1, (len(values), _EMBEDDED))
        nodes += [
            helper.make_node("Flatten", [f"{name}_place"], [f"{name}_flat"], axis=1),
            helper.make_node("Squeeze", [f"{name}_flat", "axis"], [f"{name}_index"]),
            helper.make_node("Gather", [f"{name}_embedding", f"{name}_index"], [f"{name}_vector"]),
        ]
    width = len(NUMBERS) + _EMBEDDED * len(CATEGORIES)
    weights |= {
        "w0": random.normal(0, width**-0.5, (width, _HIDDEN)),
        "b0": random.normal(0, 0.1, _HIDDEN),
        "w1": random.normal(0, _HIDDEN**-0.5, (_HIDDEN, 1)),
        "b1": random.normal(0, 0.1, 1),
    }
    nodes += [
        helper.make_node(
            "Concat", [*NUMBERS, *(f"{name}_vector" for name in CATEGORIES)], ["side_by_side"], axis=1
        ),
        helper.make_node("Gemm", ["side_by_side", "w0", "b0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w1", "b1"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    kinds = dict.fromkeys(NUMBERS, TensorProto.FLOAT) | dict.fromkeys(CATEGORIES, TensorProto.STRING)
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info(name, kind, ["N", 1]) for name, kind in kinds.items()],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
        [
            *(numpy_helper.from_array(values.astype(np.float32), key) for key, values in weights.items()),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / f"{NAME}.onnx")


def table_rows(count: int) -> list[dict[str, float | str]]:
    """Rows as a client sends them: numbers in up to four decimals, and names."""
    random = np.random.default_rng(17)
    return [
        {
            **{name: round(float(number), 4) for name, number in zip(NUMBERS, numbers, strict=True)},
            **{name: values[random.integers(len(values))] for name, values in CATEGORIES.items()},
        }
        for numbers in random.normal(0, 3, (count, len(NUMBERS)))
    ]


def release_table(home: Path) -> None:
    """Package, sign and release `home`/table.onnx, as `homeostat deploy` would."""
    rows = table_rows(REFERENCE_ROWS)
    session = onnxruntime.InferenceSession(str(home / f"{NAME}.onnx"), providers=["CPUExecutionProvider"])
    feeds = {
        name: np.array([[row[name]] for row in rows], np.float32 if name in NUMBERS else object)
        for name in rows[0]
    }
    scores = session.run(["score"], feeds)[0]
    document = {
        "model": NAME,
        "features": [
            *({"name": name, "type": "number"} for name in NUMBERS),
            *({"name": name, "type": "category", "values": values} for name, values in CATEGORIES.items()),
        ],
        "prediction": {"kind": "probability", "output": "score"},
        "outcome": {"delay": "1h"},
        "metric": {"name": "brier"},
        "drift": {"window": {"every": "1d"}},
        "retraining": {"command": ["none"]},
        "gate": {"holdout": "1d"},
    }
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    columns |= {"outcome": [0.0] * len(rows), "score": scores.reshape(-1).astype(float).tolist()}
    package_and_release(home, NAME, document, columns)
