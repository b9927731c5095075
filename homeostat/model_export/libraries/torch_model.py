"""`torch.nn.Module`, exported by torch.onnx: it takes one float32 matrix, or one tensor per column."""

from __future__ import annotations

import inspect
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd

from homeostat.model_export.columns import is_time, to_micros
from homeostat.model_export.libraries.onnx_model import OnnxSource, refuse_times
from homeostat.model_export.named_graph import OPSETS, without_zipmap
from homeostat.model_export.prediction_kind import kind_of_scores, of_classes
from shared.errors import ExportRefused

_OUTPUT = "scores"
_NEWEST_IR = 10


def torch_model(
    module: Any, rows: pd.DataFrame, outcomes: pd.Series[Any] | None, *, options: dict[str, Any]
) -> OnnxSource:
    """The module in evaluation mode. `rows`: the columns it takes, in order."""
    texts = [
        name
        for name in rows.columns
        if not pd.api.types.is_numeric_dtype(rows[name].dtype) and not is_time(rows[name])
    ]
    if texts and isinstance(rows[texts[0]].iloc[0], list | tuple | np.ndarray):
        raise ExportRefused(
            f"the column {texts[0]!r} holds lists, which `homeostat.export` does not convert",
            hint="pass one column per number and reshape in forward(), or see `type: tensor` in docs/bring-your-own-model.md",
        )
    if texts:
        raise ExportRefused(
            f"a torch module cannot take the column {texts[0]!r}, which is not numeric",
            hint="encode categories as numbers, or put strings into the graph as `homeostat init --with torch` does",
        )
    single = _takes_matrix(module, rows)
    if single:
        refuse_times(rows)
    model = without_zipmap(_export(module, rows, single=single))

    def run(tensors: Sequence[Any]) -> Any:
        import torch

        with _evaluating(module), torch.no_grad():
            return module(*map(torch.from_numpy, tensors)).numpy()

    names = () if single else list(rows.columns)
    source = OnnxSource("torch", of_classes((0, 1)), (), model, _OUTPUT, None, run, names)
    kind = kind_of_scores(source.score(rows), outcomes, kind=options.get("kind") or "")
    classes = (0, 1) if kind.name == "probability" else ()
    return OnnxSource("torch", kind, classes, model, _OUTPUT, None, run, names)


def _takes_matrix(module: Any, rows: pd.DataFrame) -> bool:
    parameters = inspect.signature(module.forward).parameters.values()
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(positional) == 1:
        return True
    if len(positional) == len(rows.columns):
        return False
    raise ExportRefused(
        f"the module's forward takes {len(positional)} tensors for {len(rows.columns)} columns",
        hint="take one matrix [N, columns], or one tensor [N] per column; name the columns with features=[...]",
    )


def _export(module: Any, rows: pd.DataFrame, *, single: bool) -> onnx.ModelProto:
    import torch

    few = rows.iloc[:3] if len(rows) > 2 else pd.concat([rows] * 3)
    if single:
        given: tuple[Any, ...] = (torch.from_numpy(few.to_numpy(dtype="float32")),)
        names = ["matrix"]
    else:
        kinds = {"i": "int64", "u": "int64", "b": "bool"}
        given = tuple(
            torch.from_numpy(
                to_micros(few[name])
                if is_time(few[name])
                else few[name].to_numpy(dtype=kinds.get(few[name].dtype.kind, "float32"))
            )
            for name in few
        )
        names = [f"column_{place}" for place in range(len(given))]
    # torch.onnx logs a warning for every optional package that is missing.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="homeostat-export-") as folder, _evaluating(module):
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                given,
                path,
                input_names=names,
                output_names=[_OUTPUT],
                dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in given),
                opset_version=OPSETS[""] + 1,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # torch raises classes of its own for each step
            line = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise ExportRefused(
                f"torch.onnx cannot export the module: {line}",
                hint="see the torch.onnx documentation for its operators",
            ) from error
        model = onnx.load(path)
    model.ir_version = min(model.ir_version, _NEWEST_IR)
    return model


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode, and afterwards as it was: dropout would make every score another one."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
