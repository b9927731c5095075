"""One error for every way in which reading the lake can fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from deltalake.exceptions import DeltaError

from shared.errors import DependencyUnavailable
from shared.stores.certificate_hint import certificate_hint

P = ParamSpec("P")
R = TypeVar("R")


def raises_dependency_unavailable(read: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that reads the lake: a failing store or table becomes DependencyUnavailable."""

    @wraps(read)
    def reading(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return read(*arguments, **options)
        except (DeltaError, OSError) as error:
            raise DependencyUnavailable(
                f"the lake cannot be read: {error}",
                hint=certificate_hint(str(error)) or "check HOMEOSTAT_LAKE and the store behind it",
            ) from error

    return reading
