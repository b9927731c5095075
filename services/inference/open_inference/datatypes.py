"""Values of a JSON tensor, checked against the datatype that the tensor declares. Pure.

A binary tensor cannot hold a value outside its datatype; a JSON tensor can: 300 in UINT8, 1.5 in INT8, 70000 in FP16.
"""

from __future__ import annotations

import math
from functools import partial

from services.inference.open_inference.tensors import InferInput
from shared.errors import InvalidRequest
from shared.validation_text import show

_INTEGERS = {f"INT{bits}": range(-(2 ** (bits - 1)), 2 ** (bits - 1)) for bits in (8, 16, 32, 64)} | {
    f"UINT{bits}": range(2**bits) for bits in (8, 16, 32, 64)
}
# From here on a number is rounded to infinity (IEEE 754, round half to even).
_OVERFLOW = {"FP16": 65520.0, "BF16": 2.0**128 - 2.0**119, "FP32": 2.0**128 - 2.0**103}


def check_values(tensor: InferInput, *, may_hold_booleans: bool, personal: bool = False) -> None:
    """Raises InvalidRequest that names the row of the first value outside the datatype; null is a missing value.

    Text, true and false in their own datatypes are left to the feature's check. A `personal` value is not shown.
    """
    values = tensor.values
    outside = partial(_outside, tensor, personal)
    kinds = set(map(type, values)) - {type(None)}
    if may_hold_booleans and bool in kinds and tensor.datatype != "BOOL":
        raise outside(next(place for place, value in enumerate(values) if type(value) is bool))
    if not kinds <= {int, float}:
        return
    numbers = [value for value in values if value is not None] if None in values else values
    if not len(numbers):
        return
    allowed, overflow = _INTEGERS.get(tensor.datatype), _OVERFLOW.get(tensor.datatype)
    if allowed is not None and (kinds != {int} or min(numbers) not in allowed or max(numbers) not in allowed):
        wrong = (
            place
            for place, value in enumerate(values)
            if value is not None and (type(value) is not int or value not in allowed)
        )
        raise outside(next(wrong))
    if overflow is not None and not -overflow < min(numbers) <= max(numbers) < overflow:
        wrong = (
            place
            for place, value in enumerate(values)
            if value is not None and not -overflow < value < overflow
        )
        raise outside(next(wrong))


def _outside(tensor: InferInput, personal: bool, place: int) -> InvalidRequest:
    given = "a value" if personal else show(tensor.values[place])
    return InvalidRequest(
        f"input {tensor.name} contains {given}, which is not a {tensor.datatype}",
        field=tensor.name,
        expected=f"values of datatype {tensor.datatype}, as the input declares",
        row=place // max(1, math.prod(tensor.shape[1:])),
    )
