"""What identifies rows of history: their content, in whatever file and order they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cli.history.content import CheckedFile
from cli.history.history_file import check_file
from shared.stores.tables.id_hours import hours_of
from tests.unit.cli.history.conftest import HEADER, csv_rows, validation


def ids(file: CheckedFile) -> list[str]:
    return [one for table in file.batches() for one in table["prediction_id"].to_pylist()]


def test_format_does_not_change_what_rows_are(checked: Callable[..., CheckedFile], tmp_path: Path) -> None:
    text = HEADER + csv_rows(0, 9)
    of_csv = checked(text)
    table = pyarrow.csv.read_csv(pa.BufferReader(text.encode()))
    times = table["event_time"].cast(pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(0, "event_time", times), tmp_path / "rows.parquet")
    of_parquet, _ = check_file(tmp_path / "rows.parquet", validation(), tmp_path / "p.arrow")
    assert (of_parquet.rows, of_parquet.outcomes) == (of_csv.rows, of_csv.outcomes) == (9, 6)
    assert ids(of_parquet) == ids(of_csv)
    assert of_parquet.digest == of_csv.digest


def test_every_difference_changes_the_name_of_an_import(checked: Callable[..., CheckedFile]) -> None:
    line = "2013-01-01T00:00:00Z,1.5,AA,n,"
    texts = [
        f"{line}0\n",
        f"{line}1\n",
        f"{line}\n",
        f"{line}0\n{line}0\n",
        line.replace("1.5", "1.25") + "0\n",
    ]
    assert len({checked(HEADER + text).digest for text in texts}) == 5
    assert len({ids(checked(HEADER + text))[0] for text in texts[:4]}) == 1, (
        "the outcome is not what a row is"
    )


def test_ids_of_a_file_differ_and_have_the_hour_of_their_row(checked: Callable[..., CheckedFile]) -> None:
    found = ids(checked(HEADER + csv_rows(1, 1) * 3 + csv_rows(2, 1)))
    assert len(set(found)) == 4
    assert {len(one) for one in found} == {32}
    hours = hours_of(pa.chunked_array([found]))
    assert hours is not None
    assert (hours.first.hour, hours.last.hour) == (1, 2)


def test_empty_file_has_no_batches(checked: Callable[..., CheckedFile]) -> None:
    file = checked(HEADER)
    assert (file.rows, list(file.batches())) == (0, [])
