"""A program of `torch.export` that is served by torch as it is: its inputs are the features, and nothing is converted."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import pandas as pd
from onnx import TensorProto, helper

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.input_checks import refuse_texts, require_inputs
from homeostat.model_export.libraries.onnx_model import OnnxSource, with_kind
from homeostat.model_export.prediction_kind import of_classes
from homeostat.model_export.source_model import Converted
from homeostat.model_export.torch_programs.evaluation_mode import check_program
from shared.errors import ExportRefused
from shared.models.tensor_type import TensorType
from shared.models.torch_archive.torch_model import TorchModel

_ELEMENTS = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(int64)": TensorProto.INT64,
    "tensor(bool)": TensorProto.BOOL,
}


@dataclass(frozen=True)
class KeptProgram(OnnxSource):
    """`model` has the inputs only; `archive` is what is served."""

    archive: bytes = b""

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """Its inputs' names."""
        return list(self.names)

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[Converted]:
        """The program itself. Raises ExportRefused where something would have to be added to its output."""
        added = "a softmax" if self.logits else "a column of two" if self.place is not None else ""
        if added or self.clipped:
            raise ExportRefused(
                f"the program's output needs {added or 'a clip to 0 and 1'}, and a program that torch serves is not changed",
                hint="return probabilities from forward(): of two classes one per row, [N], of several [N, classes]",
            )
        yield self.archive


def kept_program(
    program: Any, rows: pd.DataFrame, outcomes: pd.Series[Any] | None, *, options: dict[str, Any]
) -> OnnxSource:
    """The program. `rows`: the candidates for its columns. Raises ExportRefused, and UnservableModel for what is never served."""
    import torch
    from torch.utils import _pytree

    if not isinstance(program, torch.export.ExportedProgram):
        raise ExportRefused(
            "runtime='torch' is for programs of torch.export",
            hint="pass torch.export.export(module.eval(), inputs, dynamic_shapes=...), or its file",
        )
    module = program.module()
    check_program(module)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    served = TorchModel(buffer.getvalue())
    names = [one.name for one in served.inputs]
    require_inputs(names, rows)
    refuse_texts(rows[names], "a torch program")
    output = _output(served.outputs, options.get("output") or "")
    place = [one.name for one in served.outputs].index(output)

    def run(tensors: Sequence[Any]) -> Any:
        """What torch's own loader made of the program, which the program that is served is compared with."""
        given = [
            torch.from_numpy(tensor.reshape(len(tensor), *tensor.shape[1 : len(one.shape)]))
            for tensor, one in zip(tensors, served.inputs, strict=True)
        ]
        arguments, named = _pytree.tree_unflatten(given, program.call_spec.in_spec)
        with torch.no_grad():
            return _pytree.tree_flatten(module(*arguments, **named))[0][place].numpy()

    source = KeptProgram(
        "torch",
        of_classes((0, 1)),
        (),
        _inputs_only(served.inputs),
        output,
        None,
        run,
        names,
        archive=buffer.getvalue(),
    )
    return with_kind(source, rows[names], outcomes, options=options)


def _output(outputs: Sequence[TensorType], wanted: str) -> str:
    names = [one.name for one in outputs]
    if wanted in names:
        return wanted
    if wanted or len(names) > 1:
        raise ExportRefused(
            f"the program returns {', '.join(names)}" + (f", and not {wanted!r}" if wanted else ""),
            hint="return one tensor from forward(), or name one of them with output=",
        )
    return names[0]


def _inputs_only(inputs: Sequence[TensorType]) -> onnx.ModelProto:
    """The inputs in the form in which the rest of the export reads them."""
    described = []
    for one in inputs:
        if one.kind not in _ELEMENTS:
            raise ExportRefused(
                f"the program's input {one.name!r} is {one.kind}",
                hint="take float32, int64 and bool tensors",
            )
        described.append(
            helper.make_tensor_value_info(one.name, _ELEMENTS[one.kind], ["rows", *one.shape[1:]])
        )
    return helper.make_model(helper.make_graph([], "inputs", described, []))
