"""Every refused record is in the dead-letter table once, in whatever order and however often it arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.dead_letters import DeadLetter, dead_letter_rows
from services.prediction_log.sink import dead_letter_table as dead_letter_table_module
from services.prediction_log.sink.dead_letter_table import DeadLetterTable
from services.prediction_log.sink.table_properties import Retention
from shared.errors import Conflict
from shared.messaging.interfaces import Message, Partition
from shared.stores.lake import Lake

RETENTION = Retention()


def dead_letter(offset: int, origin: str = "cluster/topic/1/0") -> DeadLetter:
    message = Message(Partition("topic", 0), offset, None, b"noise", [])
    return DeadLetter.undecodable(message, origin, "noise")


def kept(lake: Lake) -> list[tuple[str, int]]:
    rows = DeltaTable(lake.dead_letters()).to_pyarrow_table()
    return sorted(zip(rows["origin"].to_pylist(), rows["origin_offset"].to_pylist(), strict=True))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_dead_letters_in_any_order_are_stored_once(lake: Lake) -> None:
    table = DeadLetterTable(lake, RETENTION)
    assert table.append([dead_letter(5)]) == 1
    assert table.append([dead_letter(3), dead_letter(5), dead_letter(3), dead_letter(9)]) == 2
    assert table.append([dead_letter(9), dead_letter(3)]) == 0
    assert [offset for _, offset in kept(lake)] == [3, 5, 9]


def test_statistics_show_nothing_of_what_was_refused(lake: Lake) -> None:
    """They remain in the table's log for a while after the dead letter was erased."""
    message = Message(Partition("topic", 0), 1, None, b"canary-31", [("canary-32", b"canary-33")])
    DeadLetterTable(lake, RETENTION).append(
        [DeadLetter.undecodable(message, "cluster/topic/1/0", "canary-34")]
    )
    entries = list((Path(lake.dead_letters()) / "_delta_log").glob("*.json"))
    assert any(b"origin_offset" in entry.read_bytes() for entry in entries)
    assert not any(b"canary" in entry.read_bytes() for entry in entries)


def test_same_offset_of_another_stream_is_stored(lake: Lake) -> None:
    table = DeadLetterTable(lake, RETENTION)
    spooled = [
        DeadLetter.unsendable(
            reason="encoding", detail="", writer="w", epoch=1, stream=stream, sequence=0, rows=1, value=b""
        )
        for stream in ("predictions/a", "predictions/b", "outcomes/a")
    ]
    assert table.append([dead_letter(0), dead_letter(0, "cluster/topic/2/0"), *spooled[:2]]) == 4
    assert table.append(spooled) == 1


def test_conflicting_append_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    awake: list[bool] = []
    table = DeadLetterTable(lake, RETENTION)
    table.append([dead_letter(0)])

    def slow(*args: Any, **kwargs: Any) -> None:
        if not awake:
            awake.append(True)
            assert DeadLetterTable(lake, RETENTION).append([dead_letter(1)]) == 1
        write_deltalake(*args, **kwargs)

    monkeypatch.setattr(dead_letter_table_module, "write_deltalake", slow)
    with pytest.raises(Conflict):
        table.append([dead_letter(1), dead_letter(2)])
    assert table.append([dead_letter(1), dead_letter(2)]) == 1
    assert [offset for _, offset in kept(lake)] == [0, 1, 2]


def test_table_without_origin_column_accepts_dead_letters(lake: Lake) -> None:
    write_deltalake(
        lake.dead_letters(),
        pa.table(dead_letter_rows([dead_letter(0)])).drop_columns(["origin"]),
        mode="append",
    )
    table = DeadLetterTable(lake, RETENTION)
    assert [table.append([dead_letter(1)]), table.append([dead_letter(1)])] == [1, 0]
    assert DeltaTable(lake.dead_letters()).to_pyarrow_table().num_rows == 2


def test_dead_letter_with_invalid_number_becomes_a_new_one(lake: Lake) -> None:
    headers = [
        (name, value if name != "origin_offset" else b"9" * 30)
        for name, value in dead_letter(1).kafka_headers("sink")
    ]
    read = DeadLetter.from_message(
        Message(Partition("dead_letters", 0), 4, None, b"x", headers), "cluster/dead_letters/1/0"
    )
    assert DeadLetterTable(lake, RETENTION).append([read]) == 1
    assert kept(lake) == [("cluster/dead_letters/1/0", 4)]
