"""Findings: order, and which are ignored."""

from __future__ import annotations

import pytest

from shared.data_checks.finding import Finding, in_order, is_ignored

NOTE = Finding("identifier", "note", "a", "…")
WARNING = Finding("leakage", "warning", "b", "…")
ERROR = Finding("wrong_type", "error", "c", "…")


def test_errors_come_first() -> None:
    assert in_order([NOTE, WARNING, ERROR]) == [ERROR, WARNING, NOTE]


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        ((), False),
        (("leakage",), True),
        (("leakage:b",), True),
        (("leakage:a",), False),
        (("unit_change",), False),
    ],
)
def test_ignored_by_kind_or_kind_and_column(ignored: tuple[str, ...], expected: bool) -> None:
    assert is_ignored(WARNING, ignored) is expected
