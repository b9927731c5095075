"""All findings about a data set: alone, against `loop.yaml`, against a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from shared.contracts.loop_spec import LoopSpec
from shared.data_checks.column_profile import ColumnProfile, computable, profile_column
from shared.data_checks.comparison import comparison_findings
from shared.data_checks.contract import contract_findings
from shared.data_checks.finding import Finding, in_order
from shared.data_checks.relations import relation_findings
from shared.data_checks.single_columns import column_findings
from shared.data_checks.whole_rows import row_findings

# Without a loop.yaml.
MISSING_INCREASE = 0.1


@dataclass(frozen=True)
class DataSummary:
    """A data set in numbers: its rows, its columns, and what was found. Values of personal features are in neither."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary for programs."""
        return {
            "rows": self.rows,
            "columns": [column.as_json() for column in self.columns],
            "findings": [finding.as_json() for finding in self.findings],
        }


def summarise(
    table: pa.Table,
    loop: LoopSpec | None = None,
    reference: pa.Table | None = None,
    *,
    outcome: str = "outcome",
) -> DataSummary:
    """The summary of `table`. With `loop`, also what does not fit it; with `reference`, also what differs from it.

    `outcome`: the column that a model is to predict; need not be there. Features that `loop` marks as personal have a profile
    without values.
    """
    personal = (
        frozenset(feature.name for feature in loop.features if feature.personal) if loop else frozenset()
    )
    types = {field.name: str(field.type) for field in table.schema}
    table = computable(table)
    open_columns = table.drop_columns([name for name in table.column_names if name in personal])
    profiles = [
        replace(profile_column(name, open_columns[name]), type=types[name])
        for name in open_columns.column_names
    ]
    findings: list[Finding] = []
    if loop is not None:
        findings += contract_findings(table, loop)
    said = {(finding.kind, finding.column) for finding in findings}
    for profile in profiles:
        findings += [
            finding
            for finding in column_findings(profile, open_columns[profile.name])
            if (finding.kind, finding.column) not in said
        ]
    findings += row_findings(table, outcome)
    findings += relation_findings(open_columns, outcome)
    if reference is not None:
        increase = loop.drift.missing_increase if loop else MISSING_INCREASE
        findings += comparison_findings(
            table, computable(reference), missing_increase=increase, personal=personal
        )
    return DataSummary(table.num_rows, tuple(profiles), tuple(in_order(findings)))
