"""A full spool, with both settings: rows in the lake, rows answered without a log and rows refused with 503 are all there are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.inference.prediction.spool_collector import SpoolCollector
from shared.spool import SpoolWriter
from shared.spool.drop_counter import read_drops
from tests.fakes.inference_server import InferenceServer
from tests.fakes.rows import NOON
from tests.fakes.toy_model import ROW, ToyStore
from tests.unit.services.prediction_log.conftest import Log

DAY = timedelta(days=1)
MODEL = "toy"


@dataclass
class Counts:
    """What the clients saw: ids of answers, and rows of requests, and the same of outcomes."""

    answered: list[str] = field(default_factory=list)
    refused: int = 0
    accepted: list[str] = field(default_factory=list)
    refused_outcomes: int = 0


@pytest.fixture(params=["drop", "refuse"])
def refuses(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "refuse")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    log.spool.close()
    log.spool = SpoolWriter.open(tmp_path / "spool", maximum_bytes=40_000)
    yield log
    log.spool.close()


def send(server: InferenceServer, requests: int, counts: Counts) -> None:
    """Requests of one to three rows, and an outcome for the first row of each answer."""
    for number in range(requests):
        rows = [ROW] * (1 + number % 3)
        answer = server.predict(*rows, event_time=NOON.isoformat())
        if answer.status_code == 503:
            counts.refused += len(rows)
            continue
        assert answer.status_code == 200
        ids = [one["prediction_id"] for one in answer.json()["predictions"]]
        counts.answered += ids
        outcome = {"prediction_id": ids[0], "value": 1.0, "observed_at": NOON.isoformat()}
        told = server.ask("POST", "/outcomes", json=outcome)
        assert told.status_code in (202, 503)
        if told.status_code == 202:
            counts.accepted.append(ids[0])
        else:
            counts.refused_outcomes += 1


def dropped_on_disk(folder: Path, kind: str) -> int:
    drops = [drop for writer in folder.iterdir() for found in read_drops(writer).values() for drop in found]
    return sum(drop.dropped for drop in drops if drop.kind == kind)


def test_each_row_is_stored_dropped_or_refused_once(log: Log, refuses: bool, tmp_path: Path) -> None:
    toys = ToyStore(tmp_path)
    toys.put_and_release(0.25, model=MODEL)
    server, counts, registry = InferenceServer(toys), Counts(), CollectorRegistry()
    server.recorder.spool, server.recorder.refuses = log.spool, refuses
    registry.register(SpoolCollector(log.spool))
    send(server, 10, counts)
    log.drain()
    log.broker.down = True
    send(server, 60, counts)
    during = Counts(list(counts.answered), counts.refused, list(counts.accepted), counts.refused_outcomes)
    log.broker.down = False
    log.drain()
    time.sleep(0.15)  # the writer looks for room every 0.1 s
    send(server, 10, counts)
    log.drain()
    lake = log.predictions(MODEL)["prediction_id"].to_pylist()
    outcomes = log.lake.read_outcomes(MODEL, NOON - DAY, NOON + DAY)["prediction_id"].to_pylist()
    dropped, lost_outcomes = (
        dropped_on_disk(tmp_path / "spool", kind) for kind in ("predictions", "outcomes")
    )
    assert dropped, "the spool was full"
    assert len(lake) == len(set(lake))
    assert set(lake) <= set(counts.answered)
    if refuses:
        assert sorted(lake) == sorted(counts.answered), "what was answered is logged"
        assert dropped == counts.refused
    else:
        assert counts.refused == 0
        assert dropped == len(counts.answered) - len(lake)
    assert sorted(outcomes) == sorted(counts.accepted)
    assert lost_outcomes == counts.refused_outcomes
    assert (counts.refused, counts.refused_outcomes) == (during.refused, during.refused_outcomes), (
        "it recovers"
    )
    for kind, rows in (("predictions", dropped), ("outcomes", lost_outcomes)):
        labels = {"kind": kind, "model": MODEL}
        counted = registry.get_sample_value("homeostat_inference_spool_dropped_rows_total", labels)
        assert (counted or 0) == rows
        assert log.metric("homeostat_sink_missing_rows_total", **labels) == rows
    log.shipper.step()
    assert log.metric("homeostat_shipper_spool_dropped_rows", kind="predictions", model=MODEL) == dropped
