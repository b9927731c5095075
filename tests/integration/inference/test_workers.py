"""Two server processes on one port: both answer, metrics are those of one server, and an ended process leaves its counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.spool import PredictionRecord
from tests import local_http
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess, spooled
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(toys: ToyStore) -> Iterator[InferenceProcess]:
    toys.put_and_release(0.25, kind="probability")
    # Names of GPUs that need not exist: without CUDA both workers use the CPU.
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_WORKERS="2", CUDA_VISIBLE_DEVICES="GPU-a,GPU-b")
    try:
        server.wait_live()
        server.wait(lambda: server.http.get("/health/ready").status_code == 200, "every worker is ready")
        yield server
    finally:
        server.stop()


def asked(server: InferenceProcess) -> httpx.Response:
    """The answer to one prediction on a connection of its own: whichever worker accepts it."""
    return local_http.post(f"{server.url}/predict", json={"rows": [ROW]}, timeout=20)


def workers(server: InferenceProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = local_http.get(f"{server.url}/status.json", timeout=20).json()["workers"]
    return found


def rows_counted(server: InferenceProcess) -> list[int]:
    """The counter of rows, as several scrapes show it: each reaches whichever worker accepts it."""
    found = []
    for _ in range(6):
        text = local_http.get(f"{server.url}/metrics", timeout=20).text
        lines = [line for line in text.splitlines() if line.startswith("homeostat_inference_rows_total{")]
        found.append(int(sum(float(line.rpartition(" ")[2]) for line in lines)))
    return found


def rows_logged(server: InferenceProcess) -> int:
    return sum(
        len(record.prediction_ids) for record in spooled(server.home) if isinstance(record, PredictionRecord)
    )


def ask_both(server: InferenceProcess) -> int:
    """Ask until each worker has answered more than before; the number of requests."""
    before = {one["pid"]: one["answered"] for one in workers(server)}
    sent = 0

    def both_have_more() -> bool:
        nonlocal sent
        for _ in range(10):
            assert asked(server).status_code == 200
        sent += 10
        now = {one["pid"]: one["answered"] for one in workers(server)}
        return all(now[pid] > count for pid, count in before.items())

    eventually(both_have_more, "both workers answer")
    return sent


def test_each_worker_sees_a_gpu_of_its_own(server: InferenceProcess) -> None:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"gpu_chosen"' in line]
    assert sorted((line["worker"], line["gpu"]) for line in lines) == [(1, "GPU-a"), (2, "GPU-b")]


def test_workers_answer_and_count_as_one_server(server: InferenceProcess, toys: ToyStore) -> None:
    sent = ask_both(server)
    eventually(lambda: rows_counted(server) == [sent] * 6, "every worker counts the rows of both")
    assert rows_logged(server) == sent
    found = workers(server)
    assert [one["worker"] for one in found] == [1, 2]
    assert len({one["pid"] for one in found}) == len({one["writer"] for one in found}) == 2
    assert {one["maximum_in_flight"] for one in found} == {256}
    page = local_http.get(f"{server.url}/status", timeout=20).text
    assert "One row per server process" in page
    text = local_http.get(f"{server.url}/metrics", timeout=20).text
    assert "homeostat_inference_spool_bound_bytes 4.294967296e+09" in text
    assert 'homeostat_inference_loaded_versions{model="toy"} 2.0' in text
    assert text.count('homeostat_inference_generation{model="toy"}') == 1


def test_killed_worker_leaves_its_counts(server: InferenceProcess) -> None:
    # What a worker has counted since its last snapshot would be lost.
    eventually(lambda: rows_counted(server) == [rows_logged(server)] * 6, "every row is counted")
    counted = rows_counted(server)[0]
    killed = workers(server)[0]["pid"]
    psutil.Process(killed).kill()
    eventually(
        lambda: [one["worker"] for one in workers(server) if one["pid"] != killed] == [1, 2],
        "another process takes the place",
        within_s=60,
    )
    server.wait(lambda: server.http.get("/health/ready").status_code == 200, "every worker is ready")
    assert rows_counted(server) == [counted] * 6
    sent = ask_both(server)
    eventually(lambda: rows_counted(server) == [counted + sent] * 6, "rows are counted once")
    assert rows_logged(server) == counted + sent


def test_worker_that_is_stopped_alone_closes_the_port_for_no_other(server: InferenceProcess) -> None:
    stopped = workers(server)[0]["pid"]
    psutil.Process(stopped).terminate()
    refused: list[str] = []

    def replaced() -> bool:
        try:
            found = workers(server)
        except httpx.ConnectError as error:
            refused.append(repr(error))
            return False
        except httpx.TransportError:  # it was accepted by the one that ended
            return False
        return stopped not in [one["pid"] for one in found] and len(found) == 2

    eventually(replaced, "another process takes the place", within_s=60)
    assert refused == []
    server.wait(lambda: server.http.get("/health/ready").status_code == 200, "every worker is ready")


def test_release_reaches_every_worker(server: InferenceProcess, toys: ToyStore) -> None:
    generation = toys.put_and_release(0.5, kind="probability").generation
    eventually(
        lambda: (
            [[model["generation"] for model in one["models"]] for one in workers(server)]
            == [[generation]] * 2
        ),
        "both serve the release",
    )
    assert {asked(server).json()["predictions"][0]["score"] for _ in range(10)} == {0.5}


# A killed worker loses what it has counted since its last snapshot: the tests above compare counts with the log.
def test_any_worker_answers_for_a_task(server: InferenceProcess, tmp_path: Path) -> None:
    rows = 900_000
    pq.write_table(pa.table({name: [value] * rows for name, value in ROW.items()}), tmp_path / "rows")
    before = rows_logged(server)

    def task(method: str, route: str, task_id: str) -> httpx.Response:
        address = f"{server.url}/score_file/{route}"
        return local_http.request(method, address, params={"task_id": task_id}, timeout=20)

    def submit() -> str:
        with (tmp_path / "rows").open("rb") as file:
            answer = local_http.post(f"{server.url}/score_file/submit", files={"file": file}, timeout=20)
        task_id: str = answer.json()["task_id"]
        return task_id

    first = submit()
    eventually(lambda: task("GET", "status", first).json()["rows_done"] > 0, "the task runs")
    for _ in range(6):
        assert task("GET", "status", first).json()["status"] == "in_progress"
    # Whichever worker is asked, the one that runs it stops.
    canceled = task("PUT", "cancel", first).json()
    assert (canceled["status"], canceled["rows_done"]) == ("canceled", rows_logged(server) - before)

    second = submit()
    eventually(lambda: task("GET", "status", second).json()["rows_done"] > 0, "the task runs")
    for process in psutil.Process(server.process.pid).children(recursive=True):
        if process.pid in {one["pid"] for one in workers(server)}:
            process.kill()
    eventually(lambda: len(workers(server)) == 2, "both workers run again", within_s=60)
    assert task("GET", "status", second).json()["status"] == "failed"
    server.wait(lambda: server.http.get("/health/ready").status_code == 200, "every worker is ready")
