"""The models of the comparison, seeded, so always the same: `mlp` (32 numbers, two hidden layers of 64, two probabilities),
`conv` (an image of 3 x 64 x 64, ten probabilities) and `wide` (32 numbers, two hidden layers of 2048)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import NodeProto, TensorProto, helper, numpy_helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Origin
from shared.contracts.release import Release
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.model_store import open_model_store

INPUTS = 32
IMAGE = (3, 64, 64)
SHAPES: dict[str, tuple[int, ...]] = {"mlp": (INPUTS,), "conv": IMAGE, "wide": (INPUTS,)}
_OUTPUTS = {"mlp": 2, "conv": 10, "wide": 2}
REFERENCE_ROWS = 64


def write_models(folder: Path) -> None:
    """Write NAME.onnx of each model."""
    random = np.random.default_rng(7)
    for name, nodes, weights in (
        ("mlp", *_dense(random, (INPUTS, 64, 64, 2))),
        ("conv", *_convolutions(random)),
        ("wide", *_dense(random, (INPUTS, 2048, 2048, 2))),
    ):
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPES[name]])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", _OUTPUTS[name]])],
            [numpy_helper.from_array(values, key) for key, values in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / f"{name}.onnx")


def example_rows(name: str, count: int) -> npt.NDArray[np.float32]:
    """Rows as a client sends them, in four decimals."""
    random = np.random.default_rng(11)
    return random.normal(0, 1, (count, *SHAPES[name])).round(4).astype(np.float32)


def release_model(home: Path, name: str) -> str:
    """Package, sign and release a model of `write_models`; its version."""
    return release_file(home, name, example_rows(name, REFERENCE_ROWS), _OUTPUTS[name])


def release_file(home: Path, name: str, rows: npt.NDArray[np.float32], outputs: int) -> str:
    """Package, sign and release `home`/NAME.onnx, as `homeostat deploy` would. Answers are embeddings: they are in the log."""
    session = onnxruntime.InferenceSession(str(home / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    answers = session.run(["y"], {"x": rows})[0]
    columns: dict[str, Any] = {
        "x": rows.reshape(len(rows), -1).tolist(),
        "scores": pa.array(answers.tolist(), pa.list_(pa.float32())),
    }
    document = {
        "model": name,
        "features": [{"name": "x", "type": "tensor", "shape": list(rows.shape[1:])}],
        "prediction": {"kind": "embedding", "size": outputs, "output": "y"},
        "drift": {"window": {"every": "1d"}},
    }
    return package_and_release(home, name, document, columns)


def package_and_release(home: Path, name: str, document: dict[str, Any], columns: Mapping[str, Any]) -> str:
    """Package `home`/NAME.onnx with these columns of reference rows, sign and release it; its version."""
    count = len(next(iter(columns.values())))
    draft = home / "drafts" / name
    draft.mkdir(parents=True)
    moment = pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
    reference = {"event_time": moment, **columns, "prediction_id": [""] * count}
    pq.write_table(pa.table(reference), draft / "reference.parquet")
    keys = ensure_keys(home)
    manifest = package_version(
        draft / "version",
        loop=LoopSpec.model_validate(document),
        model=home / f"{name}.onnx",
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=keys.signing,
    )
    store = open_model_store((home / "models").as_uri(), keys)
    store.put_version(name, manifest.version, draft / "version")
    store.add_release(
        Release(
            model=name,
            generation=1,
            version=manifest.version,
            reason="deployment",
            actor="bench",
            released_at=datetime.now(UTC),
        )
    )
    return manifest.version


def _dense(
    random: np.random.Generator, sizes: tuple[int, ...]
) -> tuple[list[NodeProto], dict[str, npt.NDArray[np.float32]]]:
    nodes, weights, previous = [], {}, "x"
    for layer, (rows, columns) in enumerate(pairwise(sizes)):
        weights[f"w{layer}"] = random.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        weights[f"b{layer}"] = random.normal(0, 0.1, columns).astype(np.float32)
        nodes.append(helper.make_node("Gemm", [previous, f"w{layer}", f"b{layer}"], [f"h{layer}"]))
        previous = f"h{layer}"
        if layer < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [previous], [f"r{layer}"]))
            previous = f"r{layer}"
    return [*nodes, helper.make_node("Softmax", [previous], ["y"], axis=1)], weights


def _convolutions(
    random: np.random.Generator,
) -> tuple[list[NodeProto], dict[str, npt.NDArray[np.float32]]]:
    nodes, weights, previous = [], {}, "x"
    for layer, (before, after) in enumerate(((3, 16), (16, 32))):
        weights[f"w{layer}"] = random.normal(0, (before * 9) ** -0.5, (after, before, 3, 3)).astype(
            np.float32
        )
        weights[f"b{layer}"] = random.normal(0, 0.1, after).astype(np.float32)
        nodes += [
            helper.make_node(
                "Conv",
                [previous, f"w{layer}", f"b{layer}"],
                [f"c{layer}"],
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]),
        ]
        previous = f"r{layer}"
    weights["wd"] = random.normal(0, 1, (32, 10)).astype(np.float32)
    weights["bd"] = random.normal(0, 0.1, 10).astype(np.float32)
    nodes += [
        helper.make_node("GlobalAveragePool", [previous], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "wd", "bd"], ["g"]),
        helper.make_node("Softmax", ["g"], ["y"], axis=1),
    ]
    return nodes, weights
