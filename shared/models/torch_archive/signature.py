"""What a program takes and returns: weights, inputs by name, and outputs by name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from shared.errors import UnservableModel
from shared.models.tensor_type import TensorType
from shared.models.torch_archive.document import MALFORMED, checked, tagged, take
from shared.models.torch_archive.tensor_meta import read_meta
from shared.models.torch_archive.weights import Weight

# As `homeostat.export` names the output of a module, which has no name in torch.
ONE_OUTPUT: Final = "scores"
_CHANGES = frozenset({"buffer_mutation", "parameter_mutation", "user_input_mutation"})


@dataclass(frozen=True)
class Signature:
    """`values`: the graph's inputs in order, each a weight or the name of an input. `outputs`: the graph's values, in order."""

    values: tuple[tuple[str, Weight | None], ...]
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    results: tuple[str, ...]


def read_signature(
    module: dict[str, Any],
    graph: dict[str, Any],
    weights: Mapping[str, Weight],
    constants: Mapping[str, Weight],
) -> Signature:
    """Raises UnservableModel for an input that is no tensor, and for a program that changes its weights."""
    signature = take(module, "signature", dict, "the program")
    metas = take(graph, "tensor_values", dict, "the graph")
    values = []
    for spec in take(signature, "input_specs", list, "the signature"):
        values.append(_value(spec, weights, constants))
    given = [_tensor_name(one, "an input") for one in take(graph, "inputs", list, "the graph")]
    if given != [name for name, _ in values] or len(set(given)) != len(given):
        raise UnservableModel("model.pt2: the graph's inputs are not those of its signature", hint=MALFORMED)
    results = tuple(_result(spec) for spec in take(signature, "output_specs", list, "the signature"))
    returned = [_tensor_name(one, "an output") for one in take(graph, "outputs", list, "the graph")]
    if tuple(returned) != results or not results:
        raise UnservableModel("model.pt2: the graph's outputs are not those of its signature", hint=MALFORMED)
    takes = [name for name, weight in values if weight is None]
    return Signature(
        tuple(values),
        _types(zip(_input_names(module, takes), takes, strict=True), metas, "input"),
        _types(zip(_output_names(module, len(results)), results, strict=True), metas, "output"),
        results,
    )


def _value(
    spec: Any, weights: Mapping[str, Weight], constants: Mapping[str, Weight]
) -> tuple[str, Weight | None]:
    tag, content = tagged(spec, "an input")
    if tag == "user_input":
        return _tensor_name(take(content, "arg", dict, "an input"), "an input"), None
    keys = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
    if tag not in keys:
        raise UnservableModel(
            f"model.pt2: forward() takes {'a constant' if tag == 'constant_input' else tag[:80]} beside tensors",
            hint="let forward() take tensors only, one per feature",
        )
    name = _tensor_name({"as_tensor": take(content, "arg", dict, "an input")}, "an input")
    target = take(content, keys[tag], str, "an input")
    # A buffer that a module's state does not hold is among the constants.
    found = constants.get(target) if tag == "tensor_constant" else weights.get(target, constants.get(target))
    if found is None:
        raise UnservableModel(f"model.pt2 holds no numbers for {target[:80]!r}", hint=MALFORMED)
    return name, found


def _result(spec: Any) -> str:
    tag, content = tagged(spec, "an output")
    if tag in _CHANGES:
        raise UnservableModel(
            f"model.pt2 changes its own state when it runs ({tag})",
            hint="call module.eval() before torch.export.export, so that statistics are no longer updated",
        )
    if tag != "user_output":
        raise UnservableModel(f"model.pt2 returns {tag[:80]!r}", hint="let forward() return tensors only")
    return _tensor_name(take(content, "arg", dict, "an output"), "an output")


def _tensor_name(argument: Any, what: str) -> str:
    tag, content = tagged(argument, what)
    if tag != "as_tensor":
        raise UnservableModel(
            f"model.pt2: {what} of forward() is {tag.removeprefix('as_')[:80]}, not a tensor",
            hint="let forward() take and return tensors only, with a row per entry of the first axis",
        )
    return take(content, "name", str, what)


def _types(names: Any, metas: dict[str, Any], what: str) -> tuple[TensorType, ...]:
    found = []
    for shown, name in names:
        meta = read_meta(take(metas, name, dict, f"the {what}s"), f"the {what} {shown[:80]!r}")
        if what == "input" and -1 in meta.sizes:
            raise UnservableModel(
                f"model.pt2: input {shown[:80]!r} has an axis that is computed from another",
                hint="export with dynamic_shapes={…: {0: torch.export.Dim.DYNAMIC}}, and no other free axis",
            )
        free = (None if size == -1 else size for size in meta.sizes)
        found.append(TensorType(shown, meta.kind, tuple(free)))
    return tuple(found)


def _input_names(module: dict[str, Any], taken: list[str]) -> list[str]:
    """The keys of the dictionary that forward() takes, if it takes one; else the names of its parameters."""
    kind, _, children = _specification(module, "in_spec")
    if kind == "builtins.tuple" and len(children) == 2:
        _, _, positional = _node(children[0])
        if len(positional) == 1 and not _node(children[1])[2]:
            keys = _keys(*_node(positional[0]))
            if len(keys) == len(taken):
                return keys
    return taken


def _output_names(module: dict[str, Any], count: int) -> list[str]:
    """The keys of the dictionary that forward() returns, if it returns one."""
    keys = _keys(*_specification(module, "out_spec"))
    if len(keys) == count:
        return keys
    return [ONE_OUTPUT] if count == 1 else [f"{ONE_OUTPUT}_{index}" for index in range(count)]


def _specification(module: dict[str, Any], which: str) -> tuple[str, str, list[Any]]:
    """What forward() takes or returns, as torch writes the form of nested values; torch itself imports classes that it names."""
    for entry in take(module, "module_call_graph", list, "the program"):
        if take(entry, "fqn", str, "a module") == "" and isinstance(entry.get("signature"), dict):
            try:
                found = orjson.loads(take(entry["signature"], which, str, "a module"))
            except orjson.JSONDecodeError:
                break
            return _node(found[1] if isinstance(found, list) and len(found) == 2 else None)
    return "", "", []


def _node(value: Any) -> tuple[str, str, list[Any]]:
    if not isinstance(value, dict):
        return "", "", []
    kind, context, children = value.get("type"), value.get("context"), value.get("children_spec")
    return (
        kind if isinstance(kind, str) else "",
        context if isinstance(context, str) else "",
        children if isinstance(children, list) else [],
    )


def _keys(kind: str, context: str, children: list[Any]) -> list[str]:
    """The keys of a dictionary of tensors; empty for anything else."""
    if kind != "builtins.dict" or any(_node(child)[2] for child in children):
        return []
    try:
        keys = checked(orjson.loads(context), list, "a dictionary")
    except orjson.JSONDecodeError:
        return []
    texts = [key for key in keys if isinstance(key, str)]
    return texts if len(texts) == len(set(texts)) == len(keys) == len(children) else []
