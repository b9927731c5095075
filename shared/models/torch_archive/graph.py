"""The steps of a program: an operator each, with its arguments and the names of what it returns. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.errors import UnservableModel
from shared.models.torch_archive.arguments import Argument, names_of, read_argument
from shared.models.torch_archive.document import MALFORMED, checked, tagged, take
from shared.models.torch_archive.operators import SYMBOLIC, operator_of

_POSITIONAL, _KEYWORD = 1, 2
_MAX_STEPS: Final = 100_000
_HIGHER_ORDER = "torch.ops.higher_order."


@dataclass(frozen=True)
class Step:
    """One operator. `results`: a name; or, of one that returns several values, a name or None for each.

    `operator`: name and overload in torch.ops.aten, or a key of SYMBOLIC.
    """

    operator: tuple[str, str] | str
    arguments: tuple[Argument, ...]
    keywords: dict[str, Argument]
    results: str | tuple[str | None, ...] | None


def read_steps(graph: dict[str, Any], known: set[str]) -> tuple[Step, ...]:
    """The steps in order; `known` are the names of the inputs, and gets those of the results.

    Raises UnservableModel for an operator that is not allowed, or a value that no earlier step returns.
    """
    nodes = take(graph, "nodes", list, "the graph")
    if len(nodes) > _MAX_STEPS:
        raise UnservableModel(
            f"model.pt2 has {len(nodes)} steps; at most {_MAX_STEPS} are read", hint="export a smaller graph"
        )
    return tuple(_step(node, known) for node in nodes)


def _step(node: Any, known: set[str]) -> Step:
    target = take(node, "target", str, "a step")
    operator = target if target in SYMBOLIC else operator_of(target)
    if operator is None:
        raise _refused(target)
    arguments: list[Argument] = []
    keywords: dict[str, Argument] = {}
    for given in take(node, "inputs", list, target):
        argument = read_argument(take(given, "arg", dict, target), target)
        for name in names_of(argument):
            if name not in known:
                raise UnservableModel(
                    f"model.pt2: {target} takes {name[:80]!r}, which no step before it returns",
                    hint=MALFORMED,
                )
        kind = take(given, "kind", int, target)
        if kind == _POSITIONAL and not keywords:
            arguments.append(argument)
        elif kind == _KEYWORD:
            keywords[_keyword(given, target)] = argument
        else:
            raise UnservableModel(f"model.pt2: {target} has arguments of an unknown kind", hint=MALFORMED)
    results = _results(take(node, "outputs", list, target), target)
    names = {results} if isinstance(results, str) else set(results or ()) - {None}
    if names & known:
        raise UnservableModel(
            f"model.pt2: {target} returns {min(map(str, names & known))[:80]!r} a second time", hint=MALFORMED
        )
    known |= {str(name) for name in names}
    return Step(operator, tuple(arguments), keywords, results)


def _keyword(given: Any, target: str) -> str:
    name = take(given, "name", str, target)
    if not name.isidentifier() or name == "out":
        raise UnservableModel(f"model.pt2: {target} has an argument {name[:80]!r}", hint=MALFORMED)
    return name


def _results(outputs: list[Any], target: str) -> str | tuple[str | None, ...] | None:
    """One tensor or number; a list of tensors; or several values, of which some may be unused."""
    if not outputs:
        return None
    if len(outputs) > 1:
        return tuple(_result(one, target) for one in outputs)
    tag, content = tagged(outputs[0], f"the result of {target}")
    if tag in ("as_tensors", "as_optional_tensors"):
        return tuple(
            take(one, "name", str, target) for one in checked(content, list, f"the result of {target}")
        )
    return _result(outputs[0], target)


def _result(output: Any, target: str) -> str | None:
    tag, content = tagged(output, f"the result of {target}")
    if tag == "as_none":
        return None
    if tag == "as_tensor":
        return take(content, "name", str, f"the result of {target}")
    if tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return take(content, "as_name", str, f"the result of {target}")
    raise UnservableModel(f"model.pt2: {target} returns {tag[:80]!r}", hint=MALFORMED)


def _refused(target: str) -> UnservableModel:
    shown = target[:120]
    if target.startswith(_HIGHER_ORDER):
        what = target.removeprefix(_HIGHER_ORDER)[:80]
        return UnservableModel(
            f"model.pt2 uses the higher-order operator {what!r}, which runs a graph of its own",
            hint="leave branches, loops and regions such as `torch.no_grad()` out of forward(), or export the model to ONNX",
        )
    return UnservableModel(
        f"model.pt2 uses the operator {shown!r}, which is not served",
        hint="use torch's own functions of tensors in forward(), without random numbers and custom operators; "
        "`program.run_decompositions()` before torch.export.save replaces rare operators by common ones",
    )
