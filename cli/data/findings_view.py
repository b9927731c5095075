"""Findings and columns of a data set as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from shared.data_checks.column_profile import ColumnProfile
    from shared.data_checks.finding import Finding

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def findings_view(findings: Sequence[Finding], summary: str) -> RenderableType:
    """One line a finding, its hint below, and `summary` as the last line."""
    if not findings:
        return escape(summary)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("severity", "kind", "finding"):
        table.add_column(name, no_wrap=name != "finding", overflow="fold")
    for finding in findings:
        hint = f"\n[dim]{escape(finding.hint)}[/]" if finding.hint else ""
        colour = _COLOURS[finding.severity]
        table.add_row(f"[{colour}]{finding.severity}[/]", finding.kind, escape(finding.message) + hint)
    return Group(table, escape(summary))


def columns_view(columns: Sequence[ColumnProfile]) -> Table:
    """One line a column: type, missing and distinct values, range or frequent values."""
    table = Table(box=None, pad_edge=False)
    for name in ("column", "type", "missing", "distinct", "values"):
        table.add_column(
            name, justify="right" if name in ("missing", "distinct") else "left", overflow="fold"
        )
    for column in columns:
        share = column.missing / column.rows if column.rows else 0.0
        table.add_row(
            escape(column.name),
            escape(column.type),
            f"{share:.1%}" if share else "",
            str(column.distinct) if column.kind != "other" else "",
            escape(_values(column)),
        )
    return table


def count_text(findings: Sequence[Finding]) -> str:
    """How many findings of each severity.

    >>> count_text([])
    'no findings'
    """
    parts = []
    for severity in ("error", "warning", "note"):
        number = sum(1 for finding in findings if finding.severity == severity)
        if number:
            parts.append(f"{number} {severity}{'s' if number > 1 else ''}")
    return ", ".join(parts) or "no findings"


def _values(column: ColumnProfile) -> str:
    if column.kind == "number" and column.minimum is not None and column.maximum is not None:
        middle = f", median {column.median:.4g}" if column.median is not None else ""
        return f"{column.minimum:.4g} to {column.maximum:.4g}{middle}"
    if column.first is not None:
        return f"{column.first} to {column.last}"
    return ", ".join(f"{value} {share:.0%}" for value, share in column.frequent[:3])
