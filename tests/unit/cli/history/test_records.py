"""Records of an import: the sink accepts them, they fit into Kafka's limit, and rows are numbered through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from cli.history.content import CheckedFile
from cli.history.records import outcome_records, prediction_records
from shared.contracts.lake_schema import PREDICTION_COLUMNS, PREDICTION_OPTIONAL_COLUMNS
from shared.messaging.arrow import find_flaw, from_bytes
from tests.unit.cli.history.conftest import HEADER, csv_rows


def test_records_are_split_and_numbered(
    checked: Callable[..., CheckedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.history.records.RECORD_BYTES", 3000)
    [table] = list(checked(HEADER + csv_rows(0, 200)).batches())
    records = list(prediction_records("flights", "import-1", table, 100))
    assert len(records) > 1
    assert all(len(record.value) <= 3000 for record in records)
    batches = [from_bytes(record.value, columns=PREDICTION_COLUMNS) for record in records]
    assert pa.Table.from_batches(batches)["sequence"].to_pylist() == list(range(100, 300))
    assert [record.last for record in records] == [batch["sequence"][-1].as_py() for batch in batches]
    assert {record.key for record in records} == {b"import/flights"}
    for batch in batches:
        assert not find_flaw(
            batch, columns=PREDICTION_COLUMNS, optional=PREDICTION_OPTIONAL_COLUMNS, features=True
        )


def test_outcomes_are_numbered_apart_from_rows(checked: Callable[..., CheckedFile]) -> None:
    [table] = list(checked(HEADER + csv_rows(0, 6)).batches())
    [record] = list(outcome_records("flights", "import-1", table, 7, datetime(2026, 1, 1, tzinfo=UTC)))
    assert (record.rows, record.last) == (4, 10)
