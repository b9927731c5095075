"""Exceptions inside an export as refusals: one line that says which step failed, what the library said, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from shared.errors import ExportRefused, HomeostatError

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_MAX_LENGTH = 300
# XGBoost begins with the time and the place in its source.
_XGBOOST = re.compile(r"^\[[\d:]+\] \S+:\d+: ")


def first_line(error: BaseException) -> str:
    """What an exception says, in one line. A message of one word, such as KeyError's, means nothing without the class.

    >>> first_line(ValueError("X has 2 features\\nfor 3")), first_line(KeyError("age")), first_line(ValueError())
    ('X has 2 features', "KeyError: 'age'", 'ValueError')
    """
    text = str(error).strip()
    if not text:
        return type(error).__name__
    line = _XGBOOST.sub("", text.splitlines()[0])[:_MAX_LENGTH]
    return line if " " in line else f"{type(error).__name__}: {line}"


@contextmanager
def refusing(step: str, *, hint: str) -> Iterator[None]:
    """An exception of a library in the block becomes an ExportRefused that names the step; the exception is its cause."""
    try:
        yield
    except HomeostatError:
        raise
    except Exception as error:  # each library raises its own
        raise ExportRefused(f"{step} failed: {first_line(error)}", hint=hint) from error


def refuses_alone(export: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Every HomeostatError of the function as an ExportRefused without the frames inside: they say nothing to the caller.

    The cause stays where there is one, with its frames: the exception of a library.
    """

    @wraps(export)
    def refusing_alone(*given: _Given.args, **options: _Given.kwargs) -> _Result:
        try:
            return export(*given, **options)
        except HomeostatError as error:
            problem = error
        refused = problem
        if not isinstance(problem, ExportRefused):
            refused = ExportRefused(problem.message, hint=problem.hint)
        # Outside of the `except`: there the refusal would be shown below itself.
        raise refused.with_traceback(None) from problem.__cause__

    return refusing_alone
