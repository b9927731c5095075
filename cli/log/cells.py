"""Rows of the log as text and as JSON documents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_WIDTH = 60


def documents(rows: pa.Table) -> list[dict[str, Any]]:
    """One JSON document per row: times in ISO 8601, bytes in hex."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows.to_pylist()]


def texts(rows: pa.Table) -> list[list[str]]:
    """The cells of each row, shortened."""
    return [
        ["" if value is None else _short(str(_plain(value))) for value in row.values()]
        for row in rows.to_pylist()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
