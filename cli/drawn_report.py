"""A report that drift draws: its first request may come while the library that draws it is being loaded."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.errors import OperatorError
from shared.http.service_client import ServiceClient

SECONDS = 120.0
_PAUSE = 2.0


def read_report(
    drift: ServiceClient,
    path: str,
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The report at `path`. While drift answers 503, as it does if drawing has to wait, the request is repeated for `seconds`."""
    until = clock() + seconds
    while True:
        try:
            return drift.read(path)
        except OperatorError as error:
            # An unknown error of drift, 500, would be made again with each request.
            if error.status != 503 or clock() >= until:
                raise
            sleep(_PAUSE)
