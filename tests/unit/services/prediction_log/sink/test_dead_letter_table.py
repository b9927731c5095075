"""Every refused record is in the dead-letter table once, in whatever order and however often its letter comes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.dead_letters import DeadLetter, dead_letter_rows
from services.prediction_log.sink import dead_letter_table as burial_module
from services.prediction_log.sink.dead_letter_table import Burial
from shared.errors import Conflict
from shared.messaging.interfaces import Message, Partition
from shared.stores.lake import Lake

RETENTION = timedelta(days=7)


def letter(offset: int, origin: str = "cluster/topic/1/0") -> DeadLetter:
    message = Message(Partition("topic", 0), offset, None, b"noise", [])
    return DeadLetter.undecodable(message, origin, "noise")


def kept(lake: Lake) -> list[tuple[str, int]]:
    rows = DeltaTable(lake.dead_letters()).to_pyarrow_table()
    return sorted(zip(rows["origin"].to_pylist(), rows["origin_offset"].to_pylist(), strict=True))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_letters_come_in_any_order_and_again(lake: Lake) -> None:
    burial = Burial(lake, RETENTION)
    assert burial.bury([letter(5)]) == 1
    assert burial.bury([letter(3), letter(5), letter(3), letter(9)]) == 2
    assert burial.bury([letter(9), letter(3)]) == 0
    assert [offset for _, offset in kept(lake)] == [3, 5, 9]


def test_the_same_place_of_another_stream_is_another_letter(lake: Lake) -> None:
    burial = Burial(lake, RETENTION)
    spooled = [
        DeadLetter.unsendable(
            reason="encoding", detail="", writer="w", epoch=1, stream=stream, sequence=0, rows=1, value=b""
        )
        for stream in ("predictions/a", "predictions/b", "outcomes/a")
    ]
    assert burial.bury([letter(0), letter(0, "cluster/topic/2/0"), *spooled[:2]]) == 4
    assert burial.bury(spooled) == 1


def test_a_sink_that_slept_through_anothers_burial_is_refused(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake: list[bool] = []
    burial = Burial(lake, RETENTION)
    burial.bury([letter(0)])

    def slow(*args: Any, **kwargs: Any) -> None:
        if not awake:
            awake.append(True)
            assert Burial(lake, RETENTION).bury([letter(1)]) == 1
        write_deltalake(*args, **kwargs)

    monkeypatch.setattr(burial_module, "write_deltalake", slow)
    with pytest.raises(Conflict):
        burial.bury([letter(1), letter(2)])
    assert burial.bury([letter(1), letter(2)]) == 1
    assert [offset for _, offset in kept(lake)] == [0, 1, 2]


def test_a_table_older_than_the_column_that_tells_letters_apart_takes_them(lake: Lake) -> None:
    write_deltalake(
        lake.dead_letters(), pa.table(dead_letter_rows([letter(0)])).drop_columns(["origin"]), mode="append"
    )
    burial = Burial(lake, RETENTION)
    assert [burial.bury([letter(1)]), burial.bury([letter(1)])] == [1, 0]
    assert DeltaTable(lake.dead_letters()).to_pyarrow_table().num_rows == 2


def test_a_letter_with_a_number_no_column_holds_is_a_letter_of_its_own(lake: Lake) -> None:
    headers = [
        (name, value if name != "origin_offset" else b"9" * 30)
        for name, value in letter(1).kafka_headers("sink")
    ]
    read = DeadLetter.from_message(
        Message(Partition("letters", 0), 4, None, b"x", headers), "cluster/letters/1/0"
    )
    assert Burial(lake, RETENTION).bury([read]) == 1
    assert kept(lake) == [("cluster/letters/1/0", 4)]
