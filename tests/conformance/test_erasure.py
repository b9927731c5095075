"""A subject in every store: what is kept of it where features are protected, and what `homeostat erase` leaves."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import generate_latest

from cli.erasure import erasure as erasure_module
from cli.erasure.erasure_log import unfinished
from services.retraining.runs.data_snapshot import take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.topics import PREDICTIONS
from shared.file_lock import try_lock
from shared.messaging.arrow import CONTENT_TYPE, predictions_batch, to_bytes
from shared.messaging.events import Event
from shared.personal_data.pseudonyms import Pseudonyms
from shared.spool.record import PredictionRecord
from shared.stores.erasure.lake_rows import delete_rows
from tests.fakes.inference_server import InferenceServer
from tests.fakes.personal_model import DOCUMENT, personal_loop, put_personal
from tests.fakes.stored_texts import files_with
from tests.fakes.toy_model import ToyStore
from tests.unit.cli.command import run
from tests.unit.services.prediction_log.conftest import Log

CANARY, OTHER = "canary-8842", "beatrice-17"
START = datetime(2026, 3, 1, tzinfo=UTC)
ROW: dict[str, Any] = {"customer": OTHER, "note": None, "age": None, "amount": 1.0}


class Installation:
    """A server in this process, its log up to the lake, and the files of a run."""

    def __init__(self, home: Path, loop: Any) -> None:
        self.home, self.loop = home, loop
        self.toys = ToyStore(home)
        self.toys.release(put_personal(self.toys, value=OTHER, loop=loop).version, model="loans")
        self.log = Log(home)
        self.server = InferenceServer(self.toys)
        self.server.recorder.spool = self.log.spool
        self.answers: list[str] = []
        self.refused = 0

    def send(self, customer: str, key: str, day: int, *, note: str | None = None) -> None:
        row = {**ROW, "customer": customer, "note": note}
        time = (START + timedelta(days=day)).isoformat()
        answer = self.server.predict(row, model="loans", key=key, event_time=time)
        (prediction,) = answer.json()["predictions"]
        outcome = {"prediction_id": prediction["prediction_id"], "value": 2.0, "observed_at": time}
        self.answers += [answer.text, self.server.ask("POST", "/outcomes", json=outcome).text]

    def snapshot(self) -> RunFolder:
        """The files of a run, as retraining makes them."""
        folder = RunFolder(self.home / "runs" / "run-1")
        folder.evaluation.mkdir(parents=True, exist_ok=True)
        pin = pin_lake(self.log.lake, "loans", [], datetime.now(UTC))
        assert pin is not None
        take_snapshot(self.log.lake, self.loop, pin, None, folder)
        return folder

    def refuse(self, *customers: str) -> None:
        """A dead letter with a row of each: a feature of a type that no table can store."""
        self.refused += 10
        record = PredictionRecord(
            model="loans", sequence=self.refused, version="v", generation=1, event_time=START, answered_at=START,
            prediction_ids=[f"refused-{one}" for one in customers], scores=[0.5] * len(customers),
            columns={"customer": list(customers)}, keys=list(customers),
        )  # fmt: skip
        batch = predictions_batch([record], writer="w", epoch=1)
        halves = pa.array([0.0] * len(customers)).cast(pa.float16())
        value = to_bytes(batch.append_column(pa.field("f_half", halves.type), halves))
        event = Event.now(PREDICTIONS.event_type, source="w", model="loans", content_type=CONTENT_TYPE)
        self.log.put(PREDICTIONS.name, b"w", value, event.headers())

    def erase(self, *options: str) -> dict[str, Any]:
        arguments = ("--subject", CANARY, "--home", str(self.home), "--json", *options)
        done = run("erase", *arguments)
        assert done.exit_code == 0, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def customers(self) -> list[str]:
        rows = self.log.lake.read_predictions("loans", START, START + timedelta(days=90))
        found: list[str] = rows["f_customer"].to_pylist()
        return found


OPEN_FEATURES = [{**one, "personal": True} if one.get("personal") else one for one in DOCUMENT["features"]]


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Installation]:
    """Personal values are logged as they are: features with `personal: true`, and the key."""
    loop = personal_loop(features=OPEN_FEATURES, key={"personal": False}, automation="suggest")
    installation = Installation(tmp_path, loop)
    yield installation
    installation.log.spool.close()


def fill(installation: Installation) -> RunFolder:
    for day in range(12):
        installation.send(OTHER, OTHER, day)
    installation.send(CANARY, OTHER, 3)
    installation.send(OTHER, CANARY, 4)
    installation.refuse(CANARY)
    installation.refuse(CANARY, OTHER)
    installation.refuse(OTHER)
    installation.log.drain()
    report = installation.home / "reports" / "loans" / "v1.html"
    report.parent.mkdir(parents=True)
    report.write_text("a report")
    return installation.snapshot()


def test_canaries_are_in_no_store_message_or_metric(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    features = [
        {**one, "personal": "pseudonym"} if one["name"] == "note" else one for one in DOCUMENT["features"]
    ]
    installation = Installation(tmp_path, personal_loop(features=features))
    for day in range(12):
        installation.send(CANARY, CANARY, day, note=CANARY)
    wrong = {**ROW, "customer": [CANARY], "note": CANARY}
    installation.answers.append(installation.server.predict(wrong, model="loans", key=CANARY).text)
    installation.answers.append(installation.server.predict(ROW, model="loans", key=[CANARY]).text)
    installation.log.drain()
    installation.snapshot()
    installation.log.spool.close()
    # The search finds what is stored, and what deployment was given stays in its own file.
    pseudonym = Pseudonyms.read(installation.toys.keys.pseudonyms).of(CANARY)
    assert any("lake" in path for path in files_with(tmp_path, [pseudonym]))
    assert any("snapshot" in path for path in files_with(tmp_path, [pseudonym]))
    assert any("spool" in path for path in files_with(tmp_path, [pseudonym]))
    assert files_with(tmp_path, [CANARY]) == []
    shown = "".join(installation.answers) + caplog.text + "".join(capfd.readouterr())
    shown += generate_latest(installation.server.registry).decode()
    shown += installation.server.ask("GET", "/status").text
    assert CANARY not in shown


def test_subject_is_removed_and_others_are_intact(plain: Installation) -> None:
    folder = fill(plain)
    plain.log.spool.close()
    before = files_with(plain.home, [CANARY])
    for part in ("lake/predictions", "lake/dead_letters", "runs/run-1/snapshot", "spool/"):
        assert any(path.startswith(part) for path in before), (part, before)

    shown = plain.erase("--dry-run")
    assert files_with(plain.home, [CANARY]) == before
    done = plain.erase()
    assert done == {**shown, "dry_run": False, "kafka_until": done["kafka_until"]}
    assert done["rows"] == {"loans": {"predictions": 2, "outcomes": 2}}
    assert (done["spool_rows"], done["spool_rows_in_use"], done["dead_letters"]) == (2, 0, 2)
    assert done["reports"] == ["loans"]
    assert done["references"] == []

    assert files_with(plain.home, [CANARY]) == []
    assert plain.customers() == [OTHER] * 12
    outcomes = plain.log.lake.read_outcomes("loans", START, START + timedelta(days=90))
    assert outcomes.num_rows == 12
    letters = plain.log.dead_letters()
    assert sorted(int(str(letter["rows"])) for letter in letters) == [1, 1]
    assert pq.read_table(folder.train)["customer"].unique().to_pylist() == [OTHER]
    assert stat.S_IMODE((plain.home / "erasures.jsonl").stat().st_mode) == 0o600
    assert not any(plain.log.shipper.step() for _ in range(2)), "positions on the spool are as before"

    again = plain.erase()
    assert again["rows"] == {}
    assert again["dead_letters"] == again["spool_rows"] == 0


def test_dry_run_creates_and_changes_no_file(plain: Installation) -> None:
    plain.send(CANARY, CANARY, 1)
    plain.log.drain()
    before = {path: path.stat().st_mtime_ns for path in plain.home.rglob("*")}
    assert plain.erase("--dry-run")["rows"] == {"loans": {"predictions": 1, "outcomes": 1}}
    assert {path: path.stat().st_mtime_ns for path in plain.home.rglob("*")} == before


def test_rows_on_a_spool_in_use_are_counted_and_left(plain: Installation) -> None:
    plain.send(CANARY, CANARY, 1)
    done = plain.erase()
    assert (done["spool_rows"], done["spool_rows_in_use"]) == (0, 1)
    # The row is in no table yet, and may be in Kafka.
    left = datetime.fromisoformat(done["kafka_until"]) - datetime.now(UTC)
    assert timedelta(days=6.9) < left < timedelta(days=7)
    plain.log.drain()
    assert plain.erase()["rows"] == {"loans": {"predictions": 1, "outcomes": 1}}
    assert plain.customers() == []


def test_waiting_rows_are_blanked_and_still_shipped(plain: Installation) -> None:
    plain.send(CANARY, CANARY, 1, note="x")
    plain.send(OTHER, OTHER, 2)
    plain.log.spool.close()
    assert plain.erase()["spool_rows"] == 1
    plain.log.drain()
    assert sorted(plain.customers()) == ["", OTHER]
    assert files_with(plain.home, [CANARY]) == []


def test_subject_is_found_under_pseudonyms_of_every_secret(tmp_path: Path) -> None:
    installation = Installation(tmp_path, personal_loop())
    installation.send(CANARY, CANARY, 1)
    installation.log.drain()
    installation.log.spool.close()
    path = installation.toys.keys.pseudonyms
    old = Pseudonyms.read(path).of(CANARY)
    path.write_text(f"{'ab' * 32}\n{path.read_text()}")
    assert installation.erase()["rows"] == {"loans": {"predictions": 1, "outcomes": 1}}
    assert files_with(tmp_path, [old]) == []


def test_versions_of_the_subject_are_listed(plain: Installation) -> None:
    plain.send(CANARY, OTHER, 1)
    plain.log.drain()
    (plain.home / "drafts" / "loans").rename(plain.home / "drafts" / "before")
    manifest = put_personal(plain.toys, value=CANARY, loop=plain.loop)
    done = plain.erase("--dry-run")
    assert done["references"] == [f"loans {manifest.version[:12]}"]
    plain.log.spool.close()
    plain.erase()
    shown = run("erase", "--subject", CANARY, "--home", str(plain.home))
    assert "nothing of the subject was found" not in shown.output
    assert "no rows to remove were found" in shown.stdout
    assert "reference data of these versions hold rows of the subject" in shown.stderr


def test_interrupted_erasure_is_finished_by_the_next(
    plain: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(plain)
    plain.log.spool.close()
    monkeypatch.setattr(erasure_module, "_may_have_seen", lambda manifest, found: found is not None)
    (version,) = plain.toys.store.versions("loans")

    def killed(location: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasure_module, "remove_old_files", killed)
        done = run("erase", "--subject", CANARY, "--home", str(plain.home))
        assert done.exit_code != 0
    assert unfinished(plain.home) == {"loans"}
    assert any("lake/predictions" in path for path in files_with(plain.home, [CANARY]))
    other = run("erase", "--subject", "nobody", "--home", str(plain.home), "--json", "--dry-run")
    assert json.loads(other.stdout)["trained"] == [], "what was found of one subject says nothing of another"
    assert plain.erase("--dry-run")["trained"] == [f"loans {version[:12]}"]
    again = plain.erase()
    assert (again["rows"], again["trained"]) == ({}, [f"loans {version[:12]}"])
    assert not (plain.home / "erasures.unfinished.json").exists()
    assert files_with(plain.home, [CANARY]) == []
    assert unfinished(plain.home) == frozenset()


def test_wrong_requests_are_refused(plain: Installation) -> None:
    home = ("--home", str(plain.home))
    assert "there is no model planes" in run("erase", "--subject", "a", "--model", "planes", *home).stderr
    assert "the subject is empty" in run("erase", "--subject", "", *home).stderr


def test_two_erasures_do_not_run_at_once(plain: Installation) -> None:
    lock = try_lock(plain.home / "erasure.lock")
    assert lock is not None
    done = run("erase", "--subject", CANARY, "--home", str(plain.home))
    assert done.exit_code == 3
    assert "another erasure is running" in done.stderr
    os.close(lock)
    assert run("erase", "--subject", CANARY, "--home", str(plain.home)).exit_code == 0


def test_snapshot_taken_while_the_lake_is_erased_holds_no_rows_at_the_end(
    plain: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run had read the lake before; its files are there when the lake is done."""
    folder = fill(plain)
    plain.log.spool.close()
    late = plain.home / "runs" / "run-2" / "snapshot"
    remove = delete_rows
    rows = pq.read_table(folder.train)

    def completed_meanwhile(*arguments: Any) -> Any:
        late.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, late / "train.parquet")
        return remove(*arguments)

    monkeypatch.setattr(erasure_module, "delete_rows", completed_meanwhile)
    assert CANARY in rows["customer"].to_pylist()
    assert str(late / "train.parquet") in [file["path"] for file in plain.erase()["files"]]
    assert files_with(plain.home, [CANARY]) == []
