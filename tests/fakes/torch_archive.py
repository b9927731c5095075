"""Archives of torch.export written by hand, in the form that torch writes: score = amount * weight + count. Without torch."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import orjson

FLOAT, INT = 7, 5
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
PROGRAM = "models/model.json"
WEIGHTS_CONFIG = "data/weights/model_weights_config.json"

Document = dict[str, Any]


def meta(dtype: int, *sizes: int | None) -> Document:
    """Of a tensor; None is the free row axis."""
    rows = {"as_expr": {"expr_str": "Symbol('s0', positive=True, integer=True)", "hint": {"as_int": 3}}}
    return {
        "dtype": dtype,
        "sizes": [rows if size is None else {"as_int": size} for size in sizes],
        "requires_grad": False,
        "device": {"type": "cpu", "index": None},
        "strides": [{"as_int": 1} for _ in sizes],
        "storage_offset": {"as_int": 0},
        "layout": 7,
    }


def tensor(name: str) -> Document:
    return {"as_tensor": {"name": name}}


def step(target: str, result: str, *arguments: Document, **keywords: Document) -> Document:
    given = [{"name": f"a{place}", "arg": one, "kind": 1} for place, one in enumerate(arguments)]
    given += [{"name": name, "arg": one, "kind": 2} for name, one in keywords.items()]
    return {
        "target": target,
        "inputs": given,
        "outputs": [tensor(result)],
        "metadata": {"stack_trace": "train.py"},
        "name": result,
    }


def program() -> Document:
    """The document that torch writes to models/model.json."""
    nodes = [
        step("torch.ops.aten.mul.Tensor", "mul", tensor("amount"), tensor("p_weight")),
        step("torch.ops.aten.to.dtype", "to", tensor("count"), {"as_scalar_type": FLOAT}),
        step("torch.ops.aten.add.Tensor", "add", tensor("mul"), tensor("to")),
    ]
    graph = {
        "inputs": [tensor(name) for name in ("p_weight", "amount", "count")],
        "outputs": [tensor("add")],
        "nodes": nodes,
        "tensor_values": {
            "p_weight": meta(FLOAT),
            "amount": meta(FLOAT, None),
            "count": meta(INT, None),
            "add": meta(FLOAT, None),
        },
        "sym_int_values": {},
        "sym_bool_values": {},
        "custom_obj_values": {},
    }
    weight = {"parameter": {"arg": {"name": "p_weight"}, "parameter_name": "weight"}}
    signature = {
        "input_specs": [weight, *({"user_input": {"arg": tensor(name)}} for name in ("amount", "count"))],
        "output_specs": [{"user_output": {"arg": tensor("add")}}],
    }
    return {
        "graph_module": {"graph": graph, "signature": signature, "module_call_graph": []},
        "opset_version": {"aten": 10},
        "range_constraints": {"s0": {"min_val": 0, "max_val": None}},
        "schema_version": {"major": 8, "minor": 20},
        "verifiers": ["TRAINING"],
        "torch_version": "2.15.0",
        "guards_code": [],
    }


def weights(**changes: Any) -> Document:
    """The document that says where the weights are."""
    entry = {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta(FLOAT)}
    return {"config": {"weight": entry | changes}}


def members(weight: float = 2.0) -> dict[str, bytes]:
    """All members of a good archive, by name below its root."""
    return {
        "data/weights/weight_0": struct.pack("<f", weight),
        WEIGHTS_CONFIG: orjson.dumps(weights()),
        "data/constants/model_constants_config.json": b'{"config": {}}',
        PROGRAM: orjson.dumps(program()),
        SAMPLE_INPUTS: b"a pickle that nothing reads",
        "archive_format": b"pt2",
        "archive_version": b"0",
        ".data/version": b"6\n",
        "byteorder": b"little",
        ".data/serialization_id": b"0" * 40,
    }


def zipped(
    content: Mapping[str, bytes], *, root: str = "model", compression: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as writer:
        for name, raw in content.items():
            writer.writestr(f"{root}/{name}", raw)
    return buffer.getvalue()


def archive(change: Callable[[Document], object] = lambda _: None, *, weight: float = 2.0) -> bytes:
    """A whole archive, whose program `change` may edit first."""
    document = program()
    change(document)
    return zipped(members(weight) | {PROGRAM: orjson.dumps(document)})
