"""SQL over the tables of one model, by the engine of deltalake (Apache DataFusion): read-only, and bounded in rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from shared.contracts.lake_schema import DEAD_LETTERS, OUTCOMES, PREDICTIONS
from shared.errors import CallerError, NotFound
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable

# Comments before the statement. One within another is none of these: engines disagree on where it ends.
_COMMENTS: Final = re.compile(r"(?:\s|--[^\n]*\n|/\*(?:(?!/\*|\*/).)*\*/)*", re.DOTALL)
_READS: Final = re.compile(r"(select|with)\b", re.IGNORECASE)


@raises_dependency_unavailable
def open_query(lake: Lake, model: str) -> QueryBuilder:
    """The tables `predictions`, `outcomes` and `dead_letters`, as far as they exist. Raises NotFound without predictions."""
    tables = {
        PREDICTIONS: lake.open(lake.predictions(model)),
        OUTCOMES: lake.open(lake.outcomes(model)),
        DEAD_LETTERS: lake.open(lake.dead_letters()),
    }
    if tables[PREDICTIONS] is None:
        known = ", ".join(lake.models())
        raise NotFound(f"the lake has no predictions of {model}", hint=f"it has {known}" if known else "")
    builder = QueryBuilder()
    for name, table in tables.items():
        if table is not None:
            builder = builder.register(name, table)
    return builder


def run_query(builder: QueryBuilder, sql: str, *, limit: int) -> tuple[pa.Table, bool]:
    """The first `limit` rows, and whether there are more. Raises CallerError for what is no query, or a wrong one."""
    check_reads(sql)
    try:
        reader = builder.execute(sql)
        batches = list(_first(pa.RecordBatchReader.from_stream(reader), limit + 1))
    except (DeltaError, pa.ArrowException) as error:
        text = str(error).partition("\n")[0]
        raise CallerError(
            f"the query failed: {text}", hint='names with capitals or $ need double quotes: "f_Age"'
        ) from error
    rows = pa.Table.from_batches(batches) if batches else pa.table({})
    return rows.slice(0, limit), rows.num_rows > limit


def check_reads(sql: str) -> None:
    """Refuse every statement that is not a query: COPY writes files, and CREATE reads any. Raises CallerError."""
    before = _COMMENTS.match(sql)
    if _READS.match(sql, before.end() if before else 0) is None:
        raise CallerError("the statement is no query", hint="begin with SELECT or WITH")


def _first(reader: pa.RecordBatchReader, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return
