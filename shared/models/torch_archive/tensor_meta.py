"""Types and shapes of an archive's tensors. Pure.

Sizes that depend on the rows are text in the file, which torch evaluates. Here they are compared with a pattern, and are free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import UnservableModel
from shared.models.torch_archive.document import MALFORMED, checked, tagged, take

# torch's number for a type of elements, as the name of a torch.dtype, and its bytes.
DTYPES: Final = {
    1: ("uint8", 1),
    2: ("int8", 1),
    3: ("int16", 2),
    4: ("int32", 4),
    5: ("int64", 8),
    6: ("float16", 2),
    7: ("float32", 4),
    8: ("float64", 8),
    10: ("complex64", 8),
    11: ("complex128", 16),
    12: ("bool", 1),
    13: ("bfloat16", 2),
}
# As onnxruntime names them, which the model contract uses.
_KINDS: Final = {"float32": "float", "float64": "double"}
STRIDED: Final = 7
_SYMBOL = re.compile(r"Symbol\('[a-z]+[0-9]+'(, [a-z]+=(True|False))*\)")
# A size beyond is no tensor, and sums of products must not wrap.
_MAX_NUMBER: Final = 1 << 40
_MAX_AXES: Final = 32


@dataclass(frozen=True)
class TensorMeta:
    """Name of the dtype, and the sizes: a free axis is None, one computed from a free axis is -1."""

    dtype: str
    sizes: tuple[int | None, ...]

    @property
    def kind(self) -> str:
        """As onnxruntime names it, such as `tensor(float)`."""
        return f"tensor({_KINDS.get(self.dtype, self.dtype)})"


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in its bytes: strides and offset, in elements."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def elements(self) -> int:
        """How many elements the bytes must hold at least."""
        if 0 in self.sizes:
            return 0
        return (
            self.offset
            + 1
            + sum((size - 1) * stride for size, stride in zip(self.sizes, self.strides, strict=True))
        )


def read_dtype(number: Any, place: str) -> str:
    """Name of the dtype. Raises UnservableModel for one that is not served."""
    found = DTYPES.get(checked(number, int, place))
    if found is None:
        raise UnservableModel(
            f"model.pt2: {place} has elements of torch's type {number}, which are not served",
            hint="convert them to float32, for example with module.float(), before the export",
        )
    return found[0]


def read_meta(value: Any, place: str) -> TensorMeta:
    """Type and sizes. Raises UnservableModel."""
    _check_strided(value, place)
    sizes = take(value, "sizes", list, place)
    return TensorMeta(
        read_dtype(take(value, "dtype", int, place), place),
        tuple(_size(one, place) for one in sizes[: _MAX_AXES + 1]),
    )


def read_layout(value: Any, place: str) -> Layout:
    """Sizes, strides and offset of a stored tensor, which are numbers. Raises UnservableModel."""
    _check_strided(value, place)
    sizes = tuple(_number(one, place) for one in take(value, "sizes", list, place))
    strides = tuple(_number(one, place) for one in take(value, "strides", list, place))
    if len(sizes) != len(strides) or len(sizes) > _MAX_AXES:
        raise UnservableModel(
            f"model.pt2: {place} has {len(sizes)} sizes and {len(strides)} strides", hint=MALFORMED
        )
    return Layout(sizes, strides, _number(take(value, "storage_offset", dict, place), place))


def _check_strided(value: Any, place: str) -> None:
    if take(value, "layout", int, place) != STRIDED:
        raise UnservableModel(
            f"model.pt2: {place} is a sparse tensor", hint="call to_dense() on it before the export"
        )


def _size(value: Any, place: str) -> int | None:
    tag, content = tagged(value, f"a size of {place}")
    if tag == "as_int":
        return checked(content, int, f"a size of {place}")
    return None if _SYMBOL.fullmatch(take(content, "expr_str", str, f"a size of {place}")) else -1


def _number(value: Any, place: str) -> int:
    tag, content = tagged(value, f"a size of {place}")
    number = checked(content, int, f"a size of {place}") if tag == "as_int" else -1
    if not 0 <= number <= _MAX_NUMBER:
        raise UnservableModel(f"model.pt2: {place} has a size that is no plain number", hint=MALFORMED)
    return number
