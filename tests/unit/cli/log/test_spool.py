"""`homeostat log spool`."""

from __future__ import annotations

import json
from pathlib import Path

from shared.spool import SpoolWriter
from tests.fakes.rows import append_rows
from tests.unit.cli.command import run


def test_what_waits_is_shown(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path))
    assert "no server has written here" in run("log", "spool", *home).stdout
    spool = SpoolWriter.open(tmp_path / "spool", maximum_bytes=1 << 20)
    append_rows(spool, 0, 3)
    spool.close()
    [state] = json.loads(run("log", "spool", "--json", *home).stdout)["writers"]
    assert state["waiting"] == [{"kind": "predictions", "model": "flights", "rows": 3}]
    assert (state["in_use"], state["dropped"], state["missing_segments"]) == (False, [], 0)
    segment = next((tmp_path / "spool" / spool.writer).glob("*.spool"))
    segment.write_bytes(segment.read_bytes() + b"HSP1")
    done = run("log", "spool", *home)
    assert done.exit_code == 0, done.output
    assert "1 torn records" in " ".join(done.stdout.split())
