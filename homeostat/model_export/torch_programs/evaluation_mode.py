"""The evaluation mode of a torch module. A program of `torch.export` has the mode and the shapes that it was exported with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import ExportRefused

_TRAINING = ("train", "training")  # the flag of the operators of dropout and of batch normalisation


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode, and afterwards as it was: dropout would make every score another one."""
    if is_program(module):
        yield
        return
    # A frozen part may be in evaluation mode while the others train.
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, flag in training.items():
            part.training = flag


def is_program(module: Any) -> bool:
    """Whether the module is a graph written by `torch.export`, which has no modes: eval() and train() raise."""
    from torch.fx import GraphModule

    return isinstance(module, GraphModule) and "eval" in vars(module)


def check_program(program: Any) -> None:
    """Raises ExportRefused for a program of `torch.export` in training mode, or for a fixed number of rows."""
    for node in program.graph.nodes:
        if node.op == "placeholder" and isinstance(getattr(node.meta.get("val"), "shape", [None])[0], int):
            raise ExportRefused(
                f"the module was saved by torch.export for {node.meta['val'].shape[0]} rows, and requests have any number",
                hint="save it with a dynamic first dimension; for mlflow.pytorch.log_model pass an input_example of several rows",
            )
        schema = getattr(node.target, "_schema", None)
        for place, argument in enumerate(schema.arguments if schema is not None else ()):
            given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            if argument.name in _TRAINING and given is True:
                raise ExportRefused(
                    f"the module was saved by torch.export in training mode, with {str(node.target).split('.')[1]}",
                    hint="call module.eval() before torch.export or mlflow.pytorch.log_model, and save it again",
                )
