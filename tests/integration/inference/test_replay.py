"""`homeostat replay` against a real server: what it counts is what the spool holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.spool.record import OutcomeRecord, PredictionRecord
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import ROOT, InferenceProcess, spooled
from tests.waiting import bound, eventually

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def write(path: Path, rows: int, *, outcome: float = 1.5) -> Path:
    """Ten rows an hour; row 3 has a colour that the model does not know, row 5 no outcome."""
    table = [
        {
            **ROW,
            "amount": float(number) if number % 4 else None,
            "colour": "blue" if number == 3 else "red",
            "event_time": NOON + (number // 10) * HOUR,
            "outcome": None if number == 5 else outcome,
            "note": "no input",
        }
        for number in range(rows)
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


def command(server: InferenceProcess, file: Path, *options: str) -> list[str]:
    words = ["replay", str(file), "--delay", "2h", "--json", "--inference-url", server.url, *options]
    return [sys.executable, "-m", "cli", *words]


def logged(server: InferenceProcess) -> tuple[list[PredictionRecord], list[OutcomeRecord]]:
    records = spooled(server.home)
    return (
        [record for record in records if isinstance(record, PredictionRecord)],
        [record for record in records if isinstance(record, OutcomeRecord)],
    )


def test_counts_are_those_of_the_spool(server: InferenceProcess, toys: ToyStore, tmp_path: Path) -> None:
    server.wait_served(toys.put_and_release(0.25).version)
    done = subprocess.run(
        command(server, write(tmp_path / "history.parquet", 200)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=bound(120),
    )
    result: dict[str, Any] = orjson.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert (result["model"], result["rows"], result["answered"], result["refused"]) == ("toy", 200, 199, 1)
    assert (result["outcomes"], result["outcomes_refused"]) == (198, 0)
    assert "colour of row 3 is 'blue'" in result["reasons"][0]
    predictions, outcomes = logged(server)
    assert [len(record.prediction_ids) for record in predictions] == [9] + [10] * 19
    assert [record.event_time for record in predictions] == [NOON + hour * HOUR for hour in range(20)]
    times = {identity: record.event_time for record in predictions for identity in record.prediction_ids}
    observed = {
        identity: moment
        for record in outcomes
        for identity, moment in zip(record.prediction_ids, record.observed_at, strict=True)
    }
    assert len(observed) == 198
    assert {observed[identity] - times[identity] for identity in observed} == {2 * HOUR}


def test_interruption_ends_with_the_counts(server: InferenceProcess, tmp_path: Path) -> None:
    before, outcomes_before = (len(records) for records in logged(server))
    # An hour of history takes 0.4 s: all of it would take minutes.
    process = subprocess.Popen(
        command(server, write(tmp_path / "long.parquet", 5000), "--speed", "9000"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )

    def is_under_way() -> bool:
        predictions, outcomes = logged(server)
        return len(predictions) >= before + 4 and len(outcomes) > outcomes_before

    try:
        # The first outcome follows two hours of history later, in a request of its own, so it is waited for too.
        eventually(is_under_way, "four requests and an outcome are logged", every_s=0.25)
        process.send_signal(signal.SIGINT)
        text, problem = process.communicate(timeout=bound(30))
    finally:
        process.kill()
        process.wait(bound(10))
    assert process.returncode == 130, problem
    result = orjson.loads(text)
    assert result["interrupted"]
    predictions, _ = logged(server)
    sent = sum(len(record.prediction_ids) for record in predictions[before:])
    assert result["answered"] <= sent <= result["answered"] + result["lost"]
    assert 0 < result["outcomes"] < result["answered"]
