"""The requests of each workload, in the form of each server: 1 row and 64 rows of numbers as JSON, a 49 KB image in binary, a
wide model; and of ours 1 row and 64 rows of named columns, to compare its routes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.bench_model import example_rows
from loadtests.bench_table import CATEGORIES, NAME, table_rows

_MODELS = {"tab1": ("mlp", 1), "tab64": ("mlp", 64), "img": ("conv", 1), "wide": ("wide", 1)}
_NAMED = {"named1": 1, "named64": 64}


@dataclass(frozen=True)
class WorkloadRequest:
    """A request: its path, the file of its body, and whether a file beside it has the length of the JSON head.

    `has_key`: it is sent with the API key of the folder.
    """

    path: str
    body: str
    content_type: str = "application/json"
    has_head: bool = False
    has_key: bool = False


def _infer(workload: str) -> WorkloadRequest:
    model = _MODELS[workload][0]
    if workload == "img":
        return WorkloadRequest(
            f"/v2/models/{model}/infer", "img.binary", "application/octet-stream", has_head=True
        )
    return WorkloadRequest(f"/v2/models/{model}/infer", f"{workload}.infer.json")


_RAW_IMAGE = WorkloadRequest("/image", "img.raw", "application/octet-stream")

# By workload and the dialect of a server.
WORKLOADS: dict[str, dict[str, WorkloadRequest]] = {
    "tab1": {
        "infer": _infer("tab1"),
        "infer-key": replace(_infer("tab1"), has_key=True),
        "predict": WorkloadRequest("/predict", "tab1.predict.json"),
        "rows": WorkloadRequest("/predict", "tab1.rows.json"),
        "mosec": WorkloadRequest("/predict", "tab1.rows.json"),
        "bentoml": WorkloadRequest("/predict", "tab1.rows.json"),
        "bentoml-batched": WorkloadRequest("/batched", "tab1.rows.json"),
    },
    "tab64": {
        "infer": _infer("tab64"),
        "infer-key": replace(_infer("tab64"), has_key=True),
        "predict": WorkloadRequest("/predict", "tab64.predict.json"),
        "rows": WorkloadRequest("/predict", "tab64.rows.json"),
        "mosec": WorkloadRequest("/predict", "tab64.rows.json"),
        "bentoml": WorkloadRequest("/predict", "tab64.rows.json"),
        "bentoml-batched": WorkloadRequest("/batched", "tab64.rows.json"),
    },
    "img": {"infer": _infer("img"), "rows": _RAW_IMAGE, "mosec": _RAW_IMAGE},
    "wide": {"infer": _infer("wide"), "rows": WorkloadRequest("/wide", "wide.rows.json")},
    **{
        workload: {
            "infer": WorkloadRequest(f"/v2/models/{NAME}/infer", f"{workload}.infer.json"),
            "predict": WorkloadRequest("/predict", f"{workload}.predict.json"),
        }
        for workload in _NAMED
    },
}


def write_bodies(folder: Path) -> None:
    """Write the bodies, and the lengths of JSON heads."""
    for workload, (model, count) in _MODELS.items():
        array = example_rows(model, count)
        # As decimals of four digits, not as the digits of their float32.
        numbers = [round(number, 4) for number in array.ravel().tolist()]
        tensor = {"name": "x", "shape": list(array.shape), "datatype": "FP32"}
        if workload == "img":
            head = _json({"inputs": [{**tensor, "parameters": {"binary_data_size": array.nbytes}}]})
            (folder / "img.binary").write_bytes(head + array.tobytes())
            (folder / "img.binary.head").write_text(str(len(head)))
            (folder / "img.raw").write_bytes(array.tobytes())
            continue
        size = len(numbers) // count
        rows = [numbers[start : start + size] for start in range(0, len(numbers), size)]
        (folder / f"{workload}.infer.json").write_bytes(_json({"inputs": [{**tensor, "data": numbers}]}))
        (folder / f"{workload}.rows.json").write_bytes(_json({"x": rows}))
        (folder / f"{workload}.predict.json").write_bytes(
            _json({"model": model, "rows": [{"x": row} for row in rows]})
        )
    for workload, count in _NAMED.items():
        named = table_rows(count)
        tensors = [
            {
                "name": name,
                "shape": [count, 1],
                "datatype": "BYTES" if name in CATEGORIES else "FP32",
                "data": [row[name] for row in named],
            }
            for name in named[0]
        ]
        (folder / f"{workload}.infer.json").write_bytes(_json({"inputs": tensors}))
        (folder / f"{workload}.predict.json").write_bytes(_json({"model": NAME, "rows": named}))


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
