"""Liveness probes answered as their bytes arrive: in the ordinary way, one takes several iterations of a busy loop.

A probe is known by all of its bytes, once llhttp has parsed the same ones. Its answer never changes.
"""

from __future__ import annotations

from typing import Any

import orjson

from services.inference.fast_path.header_layout import Headers, is_inert
from services.inference.fast_path.reply import Reply
from shared.http import health
from shared.http.connections import CLOSE

LIVE = Reply(orjson.dumps(health.live()))
_PATHS = frozenset({b"/health/live", b"/livez", b"/healthz"})
_MAX_PROBES = 64
_MAX_BYTES = 1024
_END = b"\r\n\r\n"


class LivenessProbes:
    """The probes that connections of this process have received."""

    def __init__(self) -> None:
        self._closes: dict[bytes, bool] = {}

    def find(self, data: bytes | bytearray) -> bool | None:
        """Whether the connection ends after the probe `data`; None if that is none that is known, or something else, too."""
        return self._closes.get(bytes(data)) if len(data) <= _MAX_BYTES else None

    def learn(self, data: bytes, url: bytes, headers: Headers, parser: Any) -> None:
        """Remember `data`, whose headers llhttp has parsed, if it is one probe, and nothing about it is unusual."""
        closes = CLOSE in headers
        if (
            url in _PATHS
            and len(data) <= _MAX_BYTES
            and data.find(_END) == len(data) - len(_END)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive() is not closes
            and not parser.should_upgrade()
            and all(is_inert(name, value) or (name, value) == CLOSE for name, value in headers)
        ):
            if len(self._closes) >= _MAX_PROBES:
                self._closes.clear()
            self._closes[bytes(data)] = closes
