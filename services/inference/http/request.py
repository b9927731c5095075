"""An HTTP request as handlers receive it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.inference.models.servable import Servable

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class Request:
    """A request with its complete body. A handler sets `servable` to the one it acquired, for the metrics.

    `sender`: the authenticated name of the caller; empty on a public route.
    """

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""
    servable: Servable | None = field(default=None)
    sender: str = ""

    def header(self, name: bytes) -> bytes:
        """The value of a header by its lower-case name; empty if it was not sent."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    def traceparent(self) -> str:
        """The client's W3C trace context; empty if missing or malformed."""
        value = self.header(b"traceparent")
        return value.decode("ascii") if value and _TRACEPARENT.fullmatch(value) else ""
