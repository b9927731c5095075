"""Error messages of options that take a number: one sentence with the option and its range."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import typer

_SHOWN_CHARACTERS = 60


def with_range_messages(command: Any) -> Any:
    """The command; a wrong value of a number option ends with exit code 2 and a sentence that names the option and the range.

    Typer's own message is "'abc' is not a valid float range.", and it accepts `nan` within every range.
    """
    for below in getattr(command, "commands", {}).values():
        with_range_messages(below)
    for parameter in command.params:
        if getattr(parameter.type, "_number_class", None) in (int, float):
            parameter.type = _checked(parameter.type)
    return command


def _checked(kind: Any) -> Any:
    """A copy of a number type of Typer whose `convert` raises our message. Types without a range are shared, so a copy."""
    checked = copy(kind)

    def convert(value: Any, parameter: Any, context: Any) -> Any:
        try:
            number = kind.convert(value, parameter, context)
        except typer.BadParameter:
            number = math.nan
        if not math.isfinite(number):
            option = max(parameter.opts, key=len)
            shown = str(value)[:_SHOWN_CHARACTERS]
            context.fail(f"{option} must be {_expected(kind)}, not {shown!r}.")
        return number

    checked.convert = convert
    return checked


def _expected(kind: Any) -> str:
    number = "a whole number" if kind._number_class is int else "a number"
    least, most = (getattr(kind, name, None) for name in ("min", "max"))
    if least is not None and most is not None:
        return f"{number} from {_digits(least)} to {_digits(most)}"
    if least is not None:
        return f"{number} of at least {_digits(least)}"
    return number if most is None else f"{number} of at most {_digits(most)}"


def _digits(bound: float) -> str:
    """Without an exponent.

    >>> _digits(1e6), _digits(0.01), _digits(1e-6)
    ('1000000', '0.01', '0.000001')
    """
    text = f"{bound:.9f}"
    return text.rstrip("0").rstrip(".")
