"""Evidently's summary of a data set as a page. Its import takes seconds, so it waits until a page is wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shared.data_checks.column_profile import column_kind, computable
from shared.data_checks.report_escaping import escape_script_data
from shared.data_checks.report_page import report_page
from shared.errors import OperatorError

# Drawing takes about 0.1 s a column.
MAX_COLUMNS = 60
MAX_ROWS = 20_000
MAX_CATEGORIES = 1000


def summary_page(
    title: str, paragraphs: Sequence[str], table: pa.Table, reference: pa.Table | None = None
) -> str:
    """The page with Evidently's summary of `table`, beside `reference` if there is one; it loads nothing from outside.

    At most 20,000 rows of each, spread evenly, and 60 columns are drawn; the page says so where there are more. Evidently draws
    neither times nor lists. Raises OperatorError where Evidently is not installed.
    """
    evidently = _library()
    table, reference = computable(table), None if reference is None else computable(reference)
    columns = {
        name: role
        for name in table.column_names
        if (role := _role(table, name)) and (reference is None or name in reference.column_names)
    }
    drawn = dict(list(columns.items())[:MAX_COLUMNS])
    said = list(paragraphs)
    plotted = sum(1 for role in drawn.values() if role != "datetime")
    if plotted < table.num_columns:
        said.append(f"Drawn: {plotted} of {table.num_columns} columns.")
    if table.num_rows > MAX_ROWS:
        said.append(
            f"Drawn from {MAX_ROWS} of {table.num_rows} rows, spread evenly; the findings are of all rows."
        )
    if not plotted:
        return report_page(title, said)
    roles = evidently.DataDefinition(
        **{
            f"{role}_columns": [name for name, of in drawn.items() if of == role]
            for role in ("numerical", "categorical", "text", "datetime")
        }
    )
    sides = [
        evidently.Dataset.from_pandas(_frame(side, drawn), data_definition=roles)
        for side in (table, reference)
        if side is not None
    ]
    report = evidently.Report([evidently.presets.DataSummaryPreset()], include_tests=False)
    snapshot = report.run(*sides)
    return report_page(title, said, escape_script_data(snapshot.get_html_str(as_iframe=False)))


def _role(table: pa.Table, name: str) -> str:
    """Evidently's role of a column; empty for one that it cannot draw."""
    kind = column_kind(table.schema.field(name).type)
    if kind == "text":
        return "categorical" if len(table[name].unique()) <= MAX_CATEGORIES else "text"
    if kind == "time":
        is_moment = pa.types.is_timestamp(table.schema.field(name).type) or pa.types.is_date(
            table.schema.field(name).type
        )
        return "datetime" if is_moment else ""
    return {"number": "numerical", "boolean": "categorical"}.get(kind, "")


def _frame(table: pa.Table, columns: dict[str, str]) -> Any:
    step = max(1, -(-table.num_rows // MAX_ROWS))
    rows = table.select(list(columns)).take(pa.array(np.arange(0, table.num_rows, step)))
    frame = rows.to_pandas()
    for name, role in columns.items():
        if role == "datetime":
            moments = (
                frame[name].astype("datetime64[ns, UTC]") if frame[name].dtype == object else frame[name]
            )
            frame[name] = moments.dt.tz_localize(None) if moments.dt.tz is not None else moments
        elif role == "numerical":
            frame[name] = frame[name].astype(np.float64)  # also decimals
        elif role in ("categorical", "text"):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def _library() -> Any:
    os.environ["DO_NOT_TRACK"] = "1"
    try:
        import evidently
        import evidently.presets
    except ImportError as error:
        raise OperatorError(
            f"the page needs Evidently, which is not installed here: {error}",
            hint="install homeostat with its extra `eda`, or leave out --html",
        ) from error
    return evidently
