"""Reads a data set from a file: Parquet, CSV or JSON Lines, by its name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import ProjectError

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
_HINT = f"expected a file whose name ends in one of {', '.join(SUFFIXES)}"


def read_table(path: Path) -> pa.Table:
    """All rows of the file. Raises `ProjectError` if it cannot be read, has no columns or no rows."""
    # Their imports take time that `--help` should not.
    from pyarrow import csv, json

    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = pq.read_table(path)
        elif suffix in (".csv", ".tsv"):
            options = csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",")
            table = csv.read_csv(path, parse_options=options)
        elif suffix in (".jsonl", ".ndjson"):
            table = json.read_json(path)
        else:
            raise ProjectError(f"{path} is of an unknown kind", hint=_HINT)
    except FileNotFoundError as error:
        raise ProjectError(
            f"there is no file {path}", hint="check the path; it is relative to this folder"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(f"{path} cannot be read: {error}", hint=_HINT) from error
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise ProjectError(f"{path} has two columns named {min(twice)}", hint="rename one of them")
    if not table.num_rows:
        raise ProjectError(f"{path} has no rows", hint="give a file with rows")
    return table
