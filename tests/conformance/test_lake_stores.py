"""What a lake must keep, run over each kind of store: a folder, and a real S3 server with conditional puts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import obstore
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from obstore.store import from_url

from shared.stores.erasure.lake_rows import delete_rows, find_rows, remove_old_files
from shared.stores.erasure.subject import Subject
from shared.stores.lake import Lake
from shared.stores.prediction_lookup import find_prediction
from tests.fakes.rows import NOON, append_outcomes, append_rows
from tests.object_stores import S3Server
from tests.unit.services.prediction_log.conftest import Log

NUMBERS = [str(number) for number in range(10)]
DAY = timedelta(days=1)
HOLD = timedelta(hours=24)


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a lake may be made."""
    if request.param == "folder":
        (tmp_path / "files").mkdir()
        return str(tmp_path / "files" / "lake")
    server: S3Server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.new_bucket()}/lake"


@pytest.fixture
def log(url: str, tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    log.lake = Lake(url)
    log.sink, log.consumer = log.new_sink()
    yield log
    log.spool.close()


def contents(url: str) -> dict[str, bytes]:
    """Every object below a lake."""
    if "://" not in url:
        return {str(path): path.read_bytes() for path in Path(url).rglob("*") if path.is_file()}
    store = from_url(url)
    names = [entry["path"] for batch in obstore.list(store) for entry in batch]
    return {name: bytes(obstore.get(store, name).bytes()) for name in names}


def test_rows_are_stored_once_and_read(log: Log) -> None:
    append_rows(log.spool, 0, 5)
    append_rows(log.spool, 5, 5, model="trains")
    append_outcomes(log.spool, 0, 3)
    log.broker.lose_next_acknowledgements(1)
    log.ship_badly()
    log.drain()
    assert (log.ids(), log.ids("trains")) == (NUMBERS[:5], NUMBERS[5:])
    assert log.lake.models() == ["flights", "trains"]
    joined = log.lake.read_joined("flights", NOON, NOON + DAY)
    assert joined["outcome"].to_pylist() == [1.0, 1.0, 1.0, None, None]
    assert log.lake.watermark("flights") == NOON
    found = find_prediction(log.lake, "7")
    assert found is not None
    assert (found["model"], found["f_distance"]) == ("trains", 7.0)


def test_empty_lake_is_an_answer(url: str) -> None:
    lake = Lake(url)
    assert (lake.models(), lake.open(lake.predictions("flights"))) == ([], None)
    assert lake.read_joined("flights", NOON, NOON + DAY).num_rows == 0
    assert lake.snapshot("flights").predictions is None


def test_snapshot_reads_the_same_rows_after_more_commits(log: Log) -> None:
    append_rows(log.spool, 0, 2)
    append_outcomes(log.spool, 0, 1)
    log.drain()
    seen = log.lake.snapshot("flights")
    reader = Lake(log.lake.root)
    assert reader.snapshot("flights") == seen
    append_rows(log.spool, 2, 2)
    append_outcomes(log.spool, 1, 1)
    log.drain()
    rows = reader.read_joined("flights", NOON, NOON + DAY, snapshot=seen)
    assert rows["outcome"].to_pylist() == [1.0, None]
    assert reader.snapshot("flights") != seen
    assert reader.read_joined("flights", NOON, NOON + DAY).num_rows == 4


def test_of_many_who_commit_a_version_exactly_one_succeeds(url: str) -> None:
    """All have read the same version, and each writes the same application transaction: the put of the log entry decides."""
    location, contenders = f"{url}/predictions/flights", 6
    write_deltalake(location, pa.table({"value": [-1]}))
    for round_ in range(4):
        gate = Barrier(contenders)

        def contend(name: int, round_: int = round_, gate: Barrier = gate) -> int:
            table = DeltaTable(location)
            gate.wait(timeout=30)
            mark = Transaction("sequence/w/1", round_)
            try:
                write_deltalake(
                    table,
                    pa.table({"value": [name]}),
                    mode="append",
                    commit_properties=CommitProperties(app_transactions=[mark], max_commit_retries=0),
                )
            except CommitFailedError:
                return 0
            return 1

        with ThreadPoolExecutor(contenders) as pool:
            assert sum(pool.map(contend, range(contenders))) == 1
        assert DeltaTable(location).count() == 2 + round_


def test_two_sinks_write_each_row_once(log: Log) -> None:
    append_rows(log.spool, 0, 5)
    log.shipper.step()
    other, _ = log.new_sink(group="another")
    assert (log.sink.step(), other.step()) == (5, 0)
    append_rows(log.spool, 5, 5)
    log.shipper.step()
    assert (other.step(), log.sink.step()) == (5, 0)
    assert log.ids() == NUMBERS


def test_refused_records_are_stored_once(log: Log) -> None:
    log.broker.put("homeostat.predictions", b"w", b"noise", [])
    log.drain()
    log.broker.committed["sink"].clear()
    log.sink, log.consumer = log.new_sink()
    log.drain()
    assert [one["value"] for one in log.dead_letters()] == [b"noise"]


def test_outcomes_without_prediction_become_dead_letters(log: Log) -> None:
    append_rows(log.spool, 0, 1)
    append_outcomes(log.spool, 0, 3)
    log.drain()
    later = datetime.now(UTC) + HOLD + timedelta(hours=2)
    log.sink, log.consumer = log.new_sink(hold=HOLD, now=lambda: later)
    log.drain()
    table = log.lake.read_outcomes("flights", NOON, NOON + DAY)
    assert table["prediction_id"].to_pylist() == ["0"]
    assert [(one["reason"], one["rows"]) for one in log.dead_letters()] == [("unknown_prediction", 2)]


def test_compaction_merges_and_old_files_are_removed(log: Log) -> None:
    log.sink, log.consumer = log.new_sink(compact_commits=5)
    for number in range(10):
        append_rows(log.spool, number, 1)
        log.drain()
    location = log.lake.predictions("flights")
    assert len(DeltaTable(location).file_uris()) <= 5
    assert log.ids() == NUMBERS
    remove_old_files(location)
    assert log.ids() == NUMBERS
    files = [
        name for name in contents(log.lake.root) if name.endswith(".parquet") and "_delta_log" not in name
    ]
    assert len(files) == len(DeltaTable(location).file_uris())


def test_erased_rows_are_in_no_object(log: Log, url: str) -> None:
    for identity, key in (("p0", "canary-8842"), ("p1", "other")):
        log.spool.append_predictions(
            model="flights", version="a" * 64, generation=1, event_time=NOON, answered_at=datetime.now(UTC),
            prediction_ids=[identity], scores=[0.5], columns={"distance": [1.0]}, keys=[key],
        )  # fmt: skip
    log.drain()
    assert any(b"canary-8842" in content for content in contents(url).values())
    found = find_rows(log.lake, "flights", Subject(("canary-8842",)), frozenset())
    assert found.prediction_ids == ("p0",)
    delete_rows(log.lake, found)
    remove_old_files(log.lake.predictions("flights"))
    assert not any(b"canary-8842" in content for content in contents(url).values())
    assert log.ids() == ["p1"]
