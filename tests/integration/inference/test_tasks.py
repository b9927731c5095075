"""Batch tasks on a real server: files in, logged answers out, progress, cancel, and a server that is killed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import bentoml
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bentoml.exceptions import BentoMLException

from shared.spool import PredictionRecord
from tests.fakes.class_model import put_classes
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import ROOT, InferenceProcess, spooled
from tests.waiting import bound, eventually

TIME = "2026-01-01T00:00:00Z"
LONG = 600_000  # several seconds on a fast machine


@pytest.fixture(scope="module")
def server(toys: ToyStore) -> Iterator[InferenceProcess]:
    versions = {
        "toy": toys.put(0.25, kind="probability").version,
        "animals": put_classes(toys).version,
    }
    for model, version in versions.items():
        toys.release(version, model=model)
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_MAXIMUM_FILE_ROWS=str(LONG))
    try:
        server.wait_live()
        for model, version in versions.items():
            server.wait_served(version, model)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("files") / "long.parquet", LONG)


def write(path: Path, rows: int, **columns: Any) -> Path:
    whole = {name: [value] * rows for name, value in ROW.items()} | {"unused": [0] * rows} | columns
    pq.write_table(pa.table(whole), path)
    return path


def submit(
    server: InferenceProcess, path: Path, route: str = "/score_file/submit", **fields: str
) -> httpx.Response:
    with path.open("rb") as file:
        return server.http.post(route, files={"file": file}, data=fields)


def report(server: InferenceProcess, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.http.get("/score_file/status", params={"task_id": task_id}).json()
    return found


def finished(server: InferenceProcess, task_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found = report(server, task_id)
        return found if found["status"] not in ("pending", "in_progress") else None

    found = eventually(ended, f"task {task_id} is finished", within_s=60)
    assert found is not None
    return found


def result(server: InferenceProcess, task_id: str, tmp_path: Path, **more: str) -> pa.Table:
    answer = server.http.get("/score_file/get", params={"task_id": task_id, **more})
    assert answer.status_code == 200, answer.text
    path = tmp_path / "result.parquet"
    path.write_bytes(answer.content)
    return pq.read_table(path)


def logged(server: InferenceProcess, model: str = "toy") -> dict[str, PredictionRecord]:
    return {
        identity: record
        for record in spooled(server.home)
        if isinstance(record, PredictionRecord) and record.model == model
        for identity in record.prediction_ids
    }


def test_file_is_scored_and_logged(server: InferenceProcess, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", 1300, count=list(range(1300)), amount=[None, 1.5] * 650)
    submitted = submit(server, path, model="toy", event_time=TIME).json()
    done = finished(server, submitted["task_id"])
    assert (done["status"], done["rows"], done["rows_done"]) == ("completed", 1300, 1300)
    table = result(server, submitted["task_id"], tmp_path)
    assert table.column_names == ["row", "prediction_id", "version", "generation", "score"]
    assert table["row"].to_pylist() == list(range(1300))
    assert set(table["score"].to_pylist()) == {0.25}
    assert set(table["version"].to_pylist()) == {server.served()["version"]}
    records = logged(server)
    for row, identity in zip(table["row"].to_pylist(), table["prediction_id"].to_pylist(), strict=True):
        record = records[identity]
        place = list(record.prediction_ids).index(identity)
        assert record.columns["count"][place] == row
        assert record.event_time.isoformat() == "2026-01-01T00:00:00+00:00"
    assert server.metric('homeostat_inference_tasks_total{status="completed"}') >= 1
    outcome = {"prediction_id": table["prediction_id"][7].as_py(), "value": 1}
    assert server.http.post("/outcomes", json=outcome).status_code == 202


def test_column_holds_event_times(server: InferenceProcess, tmp_path: Path) -> None:
    times = pa.array([1_767_225_600 + 3600 * (row // 3) for row in range(9)], pa.timestamp("s", "UTC"))
    path = write(tmp_path / "rows.parquet", 9, at=times)
    answer = submit(server, path, "/score_file", model="toy", event_time_column="at")
    (tmp_path / "r.parquet").write_bytes(answer.content)
    records = logged(server)
    found = [
        records[identity].event_time.isoformat()
        for identity in pq.read_table(tmp_path / "r.parquet")["prediction_id"].to_pylist()
    ]
    assert found == [f"2026-01-01T0{row // 3}:00:00+00:00" for row in range(9)]


def test_invalid_row_refuses_the_file_before_any_answer(server: InferenceProcess, tmp_path: Path) -> None:
    before = len(logged(server))
    path = write(tmp_path / "rows.parquet", 2001, colour=["red"] * 2000 + ["pink"])
    task_id = submit(server, path, model="toy").json()["task_id"]
    done = finished(server, task_id)
    assert (done["status"], done["row"], done["field"], done["rows_done"]) == ("failed", 2000, "colour", 0)
    assert done["error"] == "feature colour of row 2000 is 'pink'"
    refused = server.http.get("/score_file/get", params={"task_id": task_id})
    assert (refused.status_code, refused.json()["expected"]) == (422, "one of red, green")
    assert len(logged(server)) == before


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"model": "nobody"}, 404, "model 'nobody'"),
        ({}, 400, "several models"),
        ({"model": "toy", "event_time": "today"}, 422, "`event_time` is 'today'"),
        ({"model": "toy", "event_time": TIME, "event_time_column": "at"}, 422, "both given"),
        ({"model": "toy", "rows": "1"}, 400, "unknown field 'rows'"),
    ],
)
def test_submission_is_refused_at_once(
    server: InferenceProcess, tmp_path: Path, fields: dict[str, str], status: int, named: str
) -> None:
    answer = submit(server, write(tmp_path / "rows.parquet", 1), **fields)
    assert answer.status_code == status
    assert named in answer.json()["error"]


def test_file_that_is_not_what_it_should_be_is_refused(server: InferenceProcess, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no parquet")
    too_long = pa.table({"count": pa.array([1] * (LONG + 1), pa.int8())})
    pq.write_table(too_long, tmp_path / "long")
    pq.write_table(pa.table({"count": [1]}), tmp_path / "narrow")
    for name, status, named in (
        ("text", 400, "cannot be read"),
        ("long", 413, f"has {LONG + 1} rows"),
        ("narrow", 422, "no column 'member'"),
    ):
        answer = submit(server, tmp_path / name, "/score_file", model="toy")
        assert (answer.status_code, named in answer.json()["error"]) == (status, True), answer.text
    refused = server.metric('homeostat_inference_errors_total{status="415"}')
    assert server.http.post("/score_file/submit", json={}).status_code == 415
    assert server.metric('homeostat_inference_errors_total{status="415"}') == refused + 1
    assert server.http.post("/score_file/submit", files={"other": b""}).status_code == 400
    for method, path in (("GET", "status"), ("GET", "get"), ("POST", "retry"), ("PUT", "cancel")):
        for task_id in ("0" * 32, "..", "../models"):
            answer = server.http.request(method, f"/score_file/{path}", params={"task_id": task_id})
            assert answer.status_code == 404
        assert server.http.request(method, f"/score_file/{path}").status_code == 400


def test_cancel_stops_between_calls_and_requests_are_answered_meanwhile(
    server: InferenceProcess, long_file: Path, tmp_path: Path
) -> None:
    running = submit(server, long_file, model="toy").json()["task_id"]
    waiting = submit(server, long_file, model="toy").json()["task_id"]
    seconds: list[float] = []
    # The second upload may take longer than the first answers of the file.
    while len(seconds) < 5 or report(server, running)["rows_done"] == 0:
        start = time.monotonic()
        assert server.http.post("/predict", json={"model": "toy", "rows": [ROW]}).status_code == 200
        seconds.append(time.monotonic() - start)
    assert median(seconds) < bound(0.5)
    assert report(server, waiting)["status"] == "pending"
    for task_id in (waiting, running):
        canceled = server.http.put("/score_file/cancel", params={"task_id": task_id})
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    done = report(server, running)
    assert 0 < done["rows_done"] < LONG
    table = result(server, running, tmp_path)
    assert table.num_rows == done["rows_done"]
    assert set(table["prediction_id"].to_pylist()) <= set(logged(server))
    again = server.http.put("/score_file/cancel", params={"task_id": running})
    assert (again.status_code, again.json()["error"]) == (409, "the task is already canceled")


def test_bentoml_client_runs_a_task(server: InferenceProcess, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"line": [0, 1, 2]}), path)

    async def ask() -> pa.Table:
        async with bentoml.AsyncHTTPClient(server.url) as client:
            direct = await client.score_file(file=path, model="animals")
            task = await client.score_file.submit(file=path, model="animals")
            while (await task.get_status()).value in ("pending", "in_progress"):
                await asyncio.sleep(0.05)
            again = await task.retry()
            assert again.id != task.id
            with pytest.raises(BentoMLException, match="already completed"):
                await task.cancel()
            tables = [pq.read_table(file) for file in (direct, await task.get())]
            assert tables[0]["label"] == tables[1]["label"]
            return tables[1]

    table = asyncio.run(ask())
    assert table["label"].to_pylist() == ["cat", "dog", "bird"]
    assert table["scores"].to_pylist()[1] == [0.25, 0.625, 0.125]


def test_synchronous_client_of_bentoml_cannot_submit(server: InferenceProcess, tmp_path: Path) -> None:
    """A defect of BentoML that our documentation names; when this fails, it is repaired."""
    with bentoml.SyncHTTPClient(server.url) as client:
        path = write(tmp_path / "rows.parquet", 3)
        with pytest.raises(AttributeError, match="_opened_files"):
            client.score_file.submit(file=path, model="toy")
        assert pq.read_table(client.score_file(file=path, model="toy")).num_rows == 3


def test_block_of_the_documentation_runs(
    server: InferenceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "bentoml.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    block = next(block for block in blocks if "score_file" in block)
    times = pa.array([1_767_225_600] * 4, pa.timestamp("s", "UTC"))
    path = write(tmp_path / "rows.parquet", 4, event_time=times)
    monkeypatch.chdir(tmp_path)
    exec(block.replace("http://localhost:8000", server.url).replace("flights", "toy"), {"path": path})
    assert pq.read_table("answers.parquet").num_rows == 4


@pytest.mark.parametrize(
    ("method", "route", "allowed"),
    [
        ("GET", "submit", "POST"),
        ("POST", "status", "GET, HEAD"),
        ("DELETE", "get", "GET, HEAD"),
        ("POST", "cancel", "PUT"),
        ("PATCH", "retry", "POST"),
    ],
)
def test_wrong_method_is_named_with_the_right_ones(
    server: InferenceProcess, method: str, route: str, allowed: str
) -> None:
    response = server.http.request(method, f"/score_file/{route}")
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["error"] == f"method {method} is not allowed for /score_file/{route}"
    assert server.http.get("/score_file/other").status_code == 404


# It ends the server that the tests above asked.
def test_task_of_a_killed_server_is_failed_after_the_restart(
    server: InferenceProcess, long_file: Path, toys: ToyStore
) -> None:
    stopped = submit(server, long_file, model="toy").json()["task_id"]
    # Only what is on disk survives, and that is written now and then.
    [kept] = (toys.home / "tasks").rglob(f"{stopped}/task.json")
    eventually(lambda: json.loads(kept.read_text())["rows_done"] > 0, "the count of answered rows is on disk")
    server.kill()
    after = InferenceProcess(toys.home)
    try:
        after.wait_live()
        after.wait_served(after.served("toy").get("version") or toys.store.live_release("toy").version)  # type: ignore[union-attr]
        done = report(after, stopped)
        assert (done["status"], done["rows"]) == ("failed", LONG)
        assert 0 < done["rows_done"] <= len(logged(after))
        assert done["error"].startswith("the server ended while the file was scored; at least ")
        answer = after.http.get("/score_file/get", params={"task_id": stopped})
        assert answer.status_code == 500
        retried = after.http.post("/score_file/retry", params={"task_id": stopped}).json()
        eventually(lambda: report(after, retried["task_id"])["rows_done"] > 0, "the retry runs")
        # A server that is asked to end does not wait for the file.
        after.http.close()
        start = time.monotonic()
        after.process.terminate()
        after.process.wait(timeout=bound(30))
        assert time.monotonic() - start < bound(10)
    finally:
        after.stop()
