"""A finding: one thing about a data set that its owner should look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
Kind = Literal[
    "missing_column",
    "wrong_type",
    "missing_values",
    "out_of_range",
    "unknown_category",
    "small_slice",
    "empty_column",
    "constant_column",
    "infinite_values",
    "numbers_as_text",
    "spelling_variants",
    "placeholder_value",
    "identifier",
    "duplicate_rows",
    "contradicting_outcomes",
    "correlated_columns",
    "leakage",
    "missing_increase",
    "new_category",
    "unit_change",
    "swapped_columns",
    "distribution_change",
]
MEANINGS: dict[Kind, str] = {
    "missing_column": "a feature of loop.yaml has no column",
    "wrong_type": "the values are not of the type in loop.yaml",
    "missing_values": "values are missing that inference requires, or more than a fifth of a column",
    "out_of_range": "values outside of `minimum` and `maximum`, or outcomes that do not fit the prediction",
    "unknown_category": "categories that are not in `values`",
    "small_slice": "a slice of loop.yaml with fewer rows than `drift.window.minimum_rows`",
    "empty_column": "every value is missing",
    "constant_column": "every value is the same",
    "infinite_values": "numbers that are infinite",
    "numbers_as_text": "text that is a number in nearly every row",
    "spelling_variants": "categories that differ only in capitals or spaces",
    "placeholder_value": "one extreme number, such as -999, that seems to stand for a missing value",
    "identifier": "text that is different in every row",
    "duplicate_rows": "rows that repeat another row in every column",
    "contradicting_outcomes": "rows with the same time and features, and another outcome",
    "correlated_columns": "two columns whose rank correlation is at least 0.98",
    "leakage": "a feature that determines the outcome by itself",
    "missing_increase": "more values are missing than in the reference",
    "new_category": "categories that the reference does not have",
    "unit_change": "numbers that look like those of the reference in another unit",
    "swapped_columns": "two columns whose values are exchanged, compared with the reference",
    "distribution_change": "another distribution than in the reference",
}


@dataclass(frozen=True)
class Finding:
    """`column`: empty if it is about whole rows. `value` and `limit`: the number measured and the one it exceeds, if there are.

    error: requests with such data are refused, or answered wrongly. warning: likely a fault of the data. note: good to know.
    """

    kind: Kind
    severity: Severity
    column: str
    message: str
    hint: str = ""
    value: float | None = None
    limit: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return asdict(self)


_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def in_order(findings: list[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; each as found."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def is_ignored(finding: Finding, ignored: tuple[str, ...]) -> bool:
    """Whether `ignored` names it: by `kind`, or by `kind:column`.

    >>> is_ignored(Finding("leakage", "warning", "price", "…"), ("leakage:price",))
    True
    """
    return finding.kind in ignored or f"{finding.kind}:{finding.column}" in ignored
