"""`homeostat log export`: logged rows as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.command_settings import settings_with
from cli.home import find_home
from cli.log.cells import documents
from cli.options import Json, Model, StackHome
from cli.output import command_output
from shared.errors import CallerError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

Write = Callable[["pa.RecordBatch"], None]
SUFFIXES = (".parquet", ".csv", ".jsonl")


def export(
    model: Model,
    file: Annotated[Path, typer.Argument(help="File to write: .parquet, .csv or .jsonl.")],
    table: Annotated[
        Literal["predictions", "outcomes"], typer.Option(help="Table to export.")
    ] = "predictions",
    start: Annotated[
        str,
        typer.Option(
            "--from", help="Start of the range (event_time, or observed_at of outcomes), with a UTC offset."
        ),
    ] = "",
    until: Annotated[str, typer.Option("--until", help="End of the range, exclusive.")] = "",
    home: StackHome = None,
    as_json: Json = False,
) -> None:
    """Write logged rows to a file that only you can read, batch by batch, in no particular order.

    The file has the logged values, also of features that are marked personal. `homeostat erase` does not search it.
    """
    from shared.contracts.event_time import parse_time
    from shared.files import atomic_path
    from shared.stores.lake import Lake
    from shared.stores.queries.row_batches import row_batches

    with command_output(as_json) as output:
        if file.suffix not in SUFFIXES:
            raise CallerError(
                f"{file} has none of the suffixes {', '.join(SUFFIXES)}", hint="name it rows.parquet"
            )
        settings = settings_with(find_home(home, note=output.note, may_be_stopped=True))
        lake = Lake(settings.lake_url)
        found = row_batches(
            lake,
            model,
            table,
            parse_time(start, field="--from") if start else None,
            parse_time(until, field="--until") if until else None,
        )
        if found is None:
            raise NotFound(
                f"the lake has no {table} of {model}", hint=f"it has {', '.join(lake.models()) or 'none'}"
            )
        schema, batches = found
        count = 0
        with atomic_path(file) as temporary:
            temporary.touch(mode=0o600)
            with _writer(temporary, file.suffix, schema) as write:
                for batch in batches:
                    write(batch)
                    count += batch.num_rows
        output.result({"file": str(file), "rows": count}, f"{count} rows written to {file}")


@contextmanager
def _writer(path: Path, suffix: str, schema: pa.Schema) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if suffix == ".parquet":
        with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
            yield parquet.write_batch
        return
    with path.open("w", encoding="utf-8", newline="") as text:
        if suffix == ".jsonl":

            def write(batch: pa.RecordBatch) -> None:
                text.writelines(json.dumps(row) + "\n" for row in documents(pa.Table.from_batches([batch])))

            yield write
            return
        import csv

        writer = csv.DictWriter(text, schema.names)
        writer.writeheader()

        def write_csv(batch: pa.RecordBatch) -> None:
            writer.writerows(_flat(row) for row in documents(pa.Table.from_batches([batch])))

        yield write_csv


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of CSV: lists and maps as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in row.items()
    }
