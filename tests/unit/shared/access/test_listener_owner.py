"""Whose process listens on a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from shared.access.listener_owner import listener_users


def test_own_listeners_are_found() -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((address, 0), family=family) as listener:
            port = listener.getsockname()[1]
            assert listener_users(port) == {os.geteuid()}
        assert listener_users(port) == frozenset()


def test_connections_are_no_listeners() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            assert listener_users(client.getsockname()[1]) == frozenset()


def test_without_the_tables_nothing_is_known(tmp_path: Path) -> None:
    assert listener_users(1, tmp_path) == frozenset()
