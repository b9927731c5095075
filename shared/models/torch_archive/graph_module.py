"""A program as a module of torch, built from operators that are allowed and names of our own."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from shared.errors import UnservableModel
from shared.models.torch_archive.arguments import Argument, OwnDevice, TorchConstant, Value
from shared.models.torch_archive.graph import Step
from shared.models.torch_archive.operators import SYMBOLIC
from shared.models.torch_archive.program import Program
from shared.models.torch_archive.weights import Weight

if TYPE_CHECKING:
    import torch


def build(program: Program, device: str) -> torch.fx.GraphModule:
    """The module, with its weights on `device`, such as `cuda`. Raises UnservableModel for an operator this torch lacks.

    It takes the inputs in the order of the signature, and returns a tuple of the outputs. Torch writes a module's steps as Python
    and runs that: its names are from here and from torch, and its texts are quoted by torch.
    """
    import torch

    root, graph = torch.nn.Module(), torch.fx.Graph()
    nodes: dict[str, torch.fx.Node] = {}
    shared: dict[str, Any] = {}
    for index, (name, weight) in enumerate(program.signature.values):
        if weight is None:
            nodes[name] = graph.placeholder(f"input_{index}")
        else:
            root.register_buffer(f"weight_{index}", _tensor(weight, device, shared))
            nodes[name] = graph.get_attr(f"weight_{index}")
    own = torch.device(device)
    for step in program.steps:
        target = _target(step)
        arguments = tuple(_given(one, nodes, own) for one in step.arguments)
        keywords = {name: _given(one, nodes, own) for name, one in step.keywords.items()}
        node = graph.call_function(target, arguments, keywords)
        if isinstance(step.results, str):
            nodes[step.results] = node
        for index, result in enumerate(step.results if isinstance(step.results, tuple) else ()):
            if result is not None:
                nodes[result] = graph.call_function(operator.getitem, (node, index))
    graph.output(tuple(nodes[name] for name in program.signature.results))
    return torch.fx.GraphModule(root, graph)


def _target(step: Step) -> Any:
    import torch

    if isinstance(step.operator, str):
        return SYMBOLIC[step.operator]
    name, overload = step.operator
    found = getattr(getattr(torch.ops.aten, name, None), overload, None)
    if not isinstance(found, torch._ops.OpOverload):
        raise UnservableModel(
            f"torch {torch.__version__} has no operator {name}.{overload}, which model.pt2 uses",
            hint="save the program with the torch that serves it",
        )
    return found


def _given(argument: Argument, nodes: dict[str, torch.fx.Node], device: torch.device) -> Any:
    import torch

    if isinstance(argument, Value):
        return nodes[argument.name]
    if isinstance(argument, TorchConstant):
        return getattr(torch, argument.name)  # one of the names in `tensor_meta` and `arguments`
    if isinstance(argument, OwnDevice):
        return device
    if isinstance(argument, list):
        return [_given(item, nodes, device) for item in argument]
    return argument


def _tensor(weight: Weight, device: str, shared: dict[str, Any]) -> Any:
    """The weight on the device; weights of one member share its memory."""
    import torch

    dtype = getattr(torch, weight.dtype)
    key = f"{weight.member} {weight.dtype}"
    if key not in shared:
        flat = (
            torch.frombuffer(bytearray(weight.content), dtype=dtype)
            if weight.content
            else torch.empty(0, dtype=dtype)
        )
        shared[key] = flat.to(device)
    layout = weight.layout
    return torch.as_strided(
        shared[key], layout.sizes, layout.strides, layout.offset if 0 not in layout.sizes else 0
    )
