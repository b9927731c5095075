"""A server without a model: a process that writes rows to the spool and keeps three lists, one line an id, of what it did.

    begun      before the append: what may be in the lake
    answered   after an append that held: acknowledged to a caller, so it must be in the lake
    dropped    after an append that did not hold: what was counted

    python -m tests.fakes.load SPOOL LISTS MODEL PREFIX ROWS_PER_SECOND MAXIMUM_BYTES

Runs until it is killed or receives SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from threading import Event

from shared.spool import SpoolWriter
from tests.fakes.rows import append_outcomes, append_rows


def main(spool: str, lists: str, model: str, prefix: str, rows_per_second: str, maximum_bytes: str) -> None:
    """Write requests of one to five rows, and an outcome for every fourth request."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    folder = Path(lists)
    folder.mkdir(parents=True, exist_ok=True)
    begun, answered, dropped, acknowledged = (
        os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for name in ("begun", "answered", "dropped", "acknowledged")
    )
    writer = SpoolWriter.open(Path(spool), maximum_bytes=int(maximum_bytes), segment_bytes=64 << 10)
    print("started", flush=True)
    number = request = 0
    while not stop.is_set():
        count = 1 + request % 5
        lines = "".join(f"{prefix}{row}\n" for row in range(number, number + count)).encode()
        os.write(begun, lines)
        kept = append_rows(writer, number, count, model=model, prefix=prefix)
        os.write(answered if kept else dropped, lines)
        if kept and request % 4 == 0 and append_outcomes(writer, number, 1, model=model, prefix=prefix):
            os.write(acknowledged, f"{prefix}{number}\n".encode())
        number += count
        request += 1
        time.sleep(count / float(rows_per_second))


if __name__ == "__main__":
    main(*sys.argv[1:])
