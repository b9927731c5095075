"""Booleans that may be missing: integers from 0 to 1, since ONNX has no missing boolean. Pure, standard library only."""

from __future__ import annotations


def is_flag(kind: str, minimum: float | None, maximum: float | None) -> bool:
    """Whether a feature of this type and range is one: true is its 1 and false its 0, in requests and files.

    >>> is_flag("integer", 0.0, 1.0), is_flag("integer", 0, 3), is_flag("number", 0, 1)
    (True, False, False)
    """
    return kind == "integer" and minimum == 0 and maximum == 1
