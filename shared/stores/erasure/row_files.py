"""A subject's rows in Parquet files of runs: training rows, holdouts, reference rows."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.files import atomic_path
from shared.stores.erasure.subject import Subject, file_columns_of


@dataclass(frozen=True)
class FileRows:
    """A file and how many of its rows are the subject's."""

    path: Path
    rows: int


def find_in_files(
    folder: Path, subject: Subject, ids: frozenset[str], personal: frozenset[str]
) -> Iterator[FileRows]:
    """Files below `folder` with rows of these predictions, or with the subject in a personal feature. Links are not followed.

    Retraining may delete files meanwhile.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*.parquet")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            rows = pq.read_table(path)
        except (pa.ArrowException, FileNotFoundError):
            continue  # a training command may write anything
        count = pc.sum(subjects_rows(rows, subject, ids, personal)).as_py() or 0
        if count:
            yield FileRows(path, count)


def subjects_rows(
    rows: pa.Table, subject: Subject, ids: frozenset[str], personal: frozenset[str]
) -> pa.Array:
    """Of each row, whether it is the subject's."""
    found = subject.rows_of(rows, file_columns_of(rows.schema, personal))
    if "prediction_id" in rows.column_names and ids:
        column = rows["prediction_id"].combine_chunks().cast(pa.string())
        found = pc.or_(found, pc.is_in(column, value_set=pa.array(sorted(ids), pa.string())))
    return found


def erase_in_file(path: Path, subject: Subject, ids: frozenset[str], personal: frozenset[str]) -> None:
    """Write the file again without the subject's rows, with the same permissions; one that is gone stays away."""
    try:
        rows = pq.read_table(path)
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return
    kept = rows.filter(pc.invert(subjects_rows(rows, subject, ids, personal)))
    with atomic_path(path, durable=True) as temporary:
        temporary.touch(mode=0o600)
        pq.write_table(kept, temporary, compression="zstd")
        temporary.chmod(mode)
