"""The arguments of an operator as data: numbers, texts, and names of values of the graph. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from shared.errors import UnservableModel
from shared.models.torch_archive.document import MALFORMED, checked, tagged, take
from shared.models.torch_archive.tensor_meta import STRIDED, read_dtype

_MEMORY_FORMATS: Final = {
    1: "contiguous_format",
    2: "channels_last",
    3: "channels_last_3d",
    4: "preserve_format",
}
_CONTROL_FLOW = (
    "branches, loops and regions such as `torch.no_grad()` are not served from an archive; leave them out of forward(), "
    "or export the model to ONNX"
)


@dataclass(frozen=True)
class Value:
    """A tensor or number that the graph computes, by its name."""

    name: str


@dataclass(frozen=True)
class TorchConstant:
    """A dtype, memory format or layout: an attribute of torch, from a fixed list."""

    name: str


@dataclass(frozen=True)
class OwnDevice:
    """The device that the program runs on, whichever it was exported on."""


Argument: TypeAlias = "bool | int | float | str | Value | TorchConstant | OwnDevice | list[Argument] | None"


def read_argument(argument: Any, place: str) -> Argument:
    """Raises UnservableModel for what is no tensor, number, text or constant of torch."""
    tag, content = tagged(argument, f"an argument of {place}")
    read = _READERS.get(tag)
    if read is None:
        raise UnservableModel(
            f"model.pt2: {place} takes {_REFUSED.get(tag, f'an argument {tag[:80]!r}')}",
            hint=_CONTROL_FLOW if tag == "as_graph" else "export the model to ONNX",
        )
    return read(content, place)


def names_of(argument: Argument) -> list[str]:
    """The values that an argument names."""
    if isinstance(argument, Value):
        return [argument.name]
    return [name for item in argument for name in names_of(item)] if isinstance(argument, list) else []


def _whole(content: Any, place: str) -> int:
    return checked(content, int, f"an argument of {place}")


def _flag(content: Any, place: str) -> bool:
    return checked(content, bool, f"an argument of {place}")


def _text(content: Any, place: str) -> str:
    return checked(content, str, f"an argument of {place}")


def _float(content: Any, place: str) -> float:
    """JSON has no infinity and no NaN, so torch writes their names."""
    if isinstance(content, str) and content in ("Infinity", "-Infinity", "NaN"):
        return float(content)
    if isinstance(content, int) and not isinstance(content, bool):
        return float(content)
    return checked(content, float, f"an argument of {place}")


def _tensor(content: Any, place: str) -> Value:
    return Value(take(content, "name", str, f"an argument of {place}"))


def _one_of(
    readers: dict[str, Callable[[Any, str], Argument]],
) -> Callable[[Any, str], Argument]:
    """A union inside an argument, such as a size that is a number or a name."""

    def read(content: Any, place: str) -> Argument:
        tag, inner = tagged(content, f"an argument of {place}")
        if tag not in readers:
            raise UnservableModel(f"model.pt2: {place} takes an argument {tag[:80]!r}", hint=MALFORMED)
        return readers[tag](inner, place)

    return read


def _list(read: Callable[[Any, str], Argument], content: Any, place: str) -> Argument:
    return [read(item, place) for item in checked(content, list, f"an argument of {place}")]


def _none(_content: Any, _place: str) -> None:
    return None


def _name(content: Any, place: str) -> Value:
    return Value(_text(content, place))


def _dtype(content: Any, place: str) -> TorchConstant:
    return TorchConstant(read_dtype(content, place))


def _memory_format(content: Any, place: str) -> TorchConstant:
    found = _MEMORY_FORMATS.get(_whole(content, place))
    if found is None:
        raise UnservableModel(f"model.pt2: {place} takes an unknown memory format", hint=MALFORMED)
    return TorchConstant(found)


def _layout(content: Any, place: str) -> TorchConstant:
    if content != STRIDED:
        raise UnservableModel(
            f"model.pt2: {place} makes a sparse tensor", hint="call to_dense() on it in forward()"
        )
    return TorchConstant("strided")


def _device(_content: Any, _place: str) -> OwnDevice:
    return OwnDevice()


_SYM_INT = _one_of({"as_name": _name, "as_int": _whole})
_SYM_FLOAT = _one_of({"as_name": _name, "as_float": _float})
_SYM_BOOL = _one_of({"as_name": _name, "as_bool": _flag})
_OPTIONAL = _one_of({"as_tensor": _tensor, "as_none": _none})
_READERS: Final[dict[str, Callable[[Any, str], Argument]]] = {
    "as_none": _none,
    "as_tensor": _tensor,
    "as_tensors": partial(_list, _tensor),
    "as_optional_tensor": _OPTIONAL,
    "as_optional_tensors": partial(_list, _OPTIONAL),
    "as_int": _whole,
    "as_ints": partial(_list, _whole),
    "as_float": _float,
    "as_floats": partial(_list, _float),
    "as_bool": _flag,
    "as_bools": partial(_list, _flag),
    "as_string": _text,
    "as_sym_int": _SYM_INT,
    "as_sym_ints": partial(_list, _SYM_INT),
    "as_sym_float": _SYM_FLOAT,
    "as_sym_floats": partial(_list, _SYM_FLOAT),
    "as_sym_bool": _SYM_BOOL,
    "as_sym_bools": partial(_list, _SYM_BOOL),
    "as_scalar_type": _dtype,
    "as_memory_format": _memory_format,
    "as_layout": _layout,
    "as_device": _device,
}
_REFUSED: Final = {
    "as_graph": "a graph of its own",
    "as_custom_obj": "an object of a class of its own",
    "as_operator": "an operator as an argument",
}
