"""Names and addresses of this machine."""

from __future__ import annotations

import pytest

from shared.access.loopback import is_loopback


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("", False), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example", False),
        ("127.0.0.1.example", False), ("::ffff:10.0.0.1", False),
    ],
)  # fmt: skip
def test_loopback(name: str, expected: bool) -> None:
    assert is_loopback(name) is expected
