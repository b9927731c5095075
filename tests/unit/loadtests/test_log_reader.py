from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from loadtests.log_reader import reading_log
from shared.spool import SpoolWriter
from tests.waiting import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_segments_that_were_read_are_deleted(tmp_path: Path) -> None:
    writers = [SpoolWriter.open(tmp_path, maximum_bytes=1 << 20, segment_bytes=2000) for _ in range(2)]
    try:
        with reading_log(tmp_path):
            for writer in writers:
                for number in range(30):
                    assert writer.append_outcomes(
                        model="toy",
                        received_at=NOW,
                        prediction_ids=[f"{number:032}"],
                        values=[1.0],
                        observed_at=[NOW],
                    )
            eventually(
                lambda: [len(list((tmp_path / one.writer).glob("*.spool"))) for one in writers] == [1, 1],
                "all segments but the last are deleted",
            )
    finally:
        for writer in writers:
            writer.close()
