"""Ports: taken ones are named with their holder and setting."""

from __future__ import annotations

import os
import socket

import pytest

from local_stack.ports import free_port, holder, is_free, require_free
from shared.errors import OperatorError


def test_free_port_is_accepted() -> None:
    port = free_port()
    assert is_free("127.0.0.1", port)
    require_free("127.0.0.1", port, "HOMEOSTAT_DRIFT_PORT")


def test_taken_port_names_process_and_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"(pid {os.getpid()})" in holder(port)
        with pytest.raises(OperatorError) as raised:
            require_free("127.0.0.1", port, "HOMEOSTAT_DRIFT_PORT")
    assert f"port {port} on 127.0.0.1 is taken by" in raised.value.message
    assert "HOMEOSTAT_DRIFT_PORT" in raised.value.hint
