"""The servers of the comparison: how each is started, and whether it answers."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtests.workloads import WORKLOADS, WorkloadRequest
from local_stack.ports import free_port

_ROOT = Path(__file__).parents[1]
OURS = "homeostat"
KEY = "bench.key"  # the file of the API key
BASE = "fastapi"


@dataclass(frozen=True)
class Contender:
    """A server under test. `{port}` of the command is filled in; `process_of`: it is another form of that one's process."""

    name: str
    dialect: str
    command: tuple[str, ...]
    folder: Path = _ROOT
    process_of: str = ""


@dataclass(frozen=True)
class Running:
    """A contender that answers."""

    contender: Contender
    process: psutil.Process
    port: int

    def cpu_seconds(self) -> float:
        """CPU time of its processes so far."""
        return sum(_cpu_seconds(one) for one in [self.process, *self.process.children(recursive=True)])


def contenders(*, mosec: str = "", beside: str = "") -> list[Contender]:
    """Who takes part: FastAPI, ours on two routes and with an API key, stock BentoML; mosec and another checkout if given."""
    bin_folder = Path(sys.executable).parent
    stock = (
        str(bin_folder / "bentoml"),
        "serve",
        "loadtests.peers.stock_bento:Stock",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    )
    uvicorn = (
        sys.executable,
        "-m",
        "uvicorn",
        "loadtests.peers.fastapi_app:app",
        "--no-access-log",
        "--port",
        "{port}",
    )
    found = [
        Contender(BASE, "rows", uvicorn),
        Contender(OURS, "infer", _ours(bin_folder)),
        Contender(f"{OURS}-predict", "predict", (), process_of=OURS),
        Contender(f"{OURS}-key", "infer-key", (), process_of=OURS),
        Contender("bentoml", "bentoml", stock),
        Contender("bentoml-batched", "bentoml-batched", (), process_of="bentoml"),
    ]
    if mosec:
        command = (mosec, "-m", "loadtests.peers.mosec_app", "--address", "127.0.0.1", "--port", "{port}")
        found.append(Contender("mosec", "mosec", (*command, "--log-level", "error")))
    if beside:
        checkout = Path(beside).resolve()
        found.append(Contender("beside", "infer", _ours(checkout / ".venv" / "bin"), checkout))
    return found


def _ours(bin_folder: Path) -> tuple[str, ...]:
    return (
        str(bin_folder / "bentoml"),
        "serve",
        "services.inference.service:InferenceService",
        "--port",
        "{port}",
    )


@contextmanager
def running(taking_part: list[Contender], folder: Path, core: int) -> Iterator[list[Running]]:
    """All of them at once, on one core, until the end of the block."""
    started: dict[str, Running] = {}
    try:
        for contender in taking_part:
            if contender.process_of:
                continue
            port = free_port()
            environment = {
                **os.environ,
                "BENTOML_DO_NOT_TRACK": "True",
                "BENCH_MODELS": str(folder),
                "HOMEOSTAT_HOME": str(folder),
                "HOMEOSTAT_INFERENCE_DEVICE": "cpu",
                "HOMEOSTAT_ANONYMOUS_ACCESS": "true",
                "PYTHONPATH": str(contender.folder),
            }
            log = (folder / f"{contender.name}.log").open("wb")
            process = psutil.Popen(
                [part.format(port=port) for part in contender.command],
                cwd=contender.folder,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
                # Linux may share a busy core among sessions (sched_autogroup): a server that starts one of its own, as mosec
                # does, would get many times the share of the others, and find more in the caches.
                start_new_session=True,
            )
            log.close()
            started[contender.name] = Running(contender, process, port)
        for server in started.values():
            _wait(server, folder)
        yield [
            started[one.name]
            if not one.process_of
            else Running(one, started[one.process_of].process, started[one.process_of].port)
            for one in taking_part
            if one.name in started or one.process_of in started
        ]
    finally:
        for server in started.values():
            _end(server.process)


def headers_of(request: WorkloadRequest, folder: Path) -> dict[str, str]:
    """The headers of a request, but for its length."""
    headers = {"Content-Type": request.content_type}
    if request.has_head:
        headers["Inference-Header-Content-Length"] = (folder / f"{request.body}.head").read_text()
    if request.has_key:
        headers["Authorization"] = f"Bearer {(folder / KEY).read_text()}"
    return headers


def _wait(server: Running, folder: Path) -> None:
    for workload in WORKLOADS.values():
        sent = workload.get(server.contender.dialect)
        if sent is None:
            continue
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.port}{sent.path}",
            data=(folder / sent.body).read_bytes(),
            headers=headers_of(sent, folder),
        )
        for _ in range(600):
            try:
                with urllib.request.urlopen(request, timeout=20):
                    break
            except OSError:  # not there yet, or the socket is open and nobody behind it
                time.sleep(0.2)
        else:
            log = (folder / f"{server.contender.name}.log").read_text()
            raise SystemExit(f"{server.contender.name} did not answer {sent.path}:\n{log[-2000:]}")


def _cpu_seconds(process: psutil.Process) -> float:
    """By the scheduler's count per thread, in nanoseconds; psutil's is in hundredths of a second."""
    total = 0
    for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[0])
        except OSError:  # the thread has ended
            continue
    return total / 1e9


def _end(process: psutil.Process) -> None:
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=15)
    for left in alive:
        left.kill()
