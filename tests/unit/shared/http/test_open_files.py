from __future__ import annotations

import resource

import pytest

from shared.http.open_files import raise_file_limit


class Limits:
    """The limits of a process that is not this one."""

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def get(self, what: int) -> tuple[int, int]:
        assert what == resource.RLIMIT_NOFILE
        return self.now

    def set(self, what: int, limits: tuple[int, int]) -> None:
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 20_000, 20_000),
        (1024, resource.RLIM_INFINITY, 65_536),
        (1024, 1 << 20, 65_536),
        (100_000, 1 << 20, 100_000),
        (4096, 4096, 4096),
    ],
)
def test_soft_limit_follows_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, expected: int
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert raise_file_limit() == expected
    assert limits.now == (expected, hard)
