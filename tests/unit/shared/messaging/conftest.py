"""An address without a broker."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def no_broker() -> str:
    """An address where no broker listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
