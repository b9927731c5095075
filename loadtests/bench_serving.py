"""This server beside a hand-written FastAPI application and stock BentoML: same model, same request, one core each.

    python -m loadtests.bench_serving [--rounds 5] [--seconds 3] [--connections 16]

Rounds are interleaved and ratios taken inside a round, so that what else the machine does meets all alike. Our server runs with
validation, metrics and the prediction log on; the others have none of them but validation. Absolute figures are of one
machine and hour: quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtests.bench_model import example_rows, release_model, write_model
from loadtests.load import Load, generate, post
from local_stack.ports import free_port

_ROOT = Path(__file__).parents[1]
_OURS = "homeostat"
_BASE = "fastapi"


@dataclass(frozen=True)
class Server:
    """A server under test."""

    name: str
    command: tuple[str, ...]


def servers() -> list[Server]:
    """Who takes part; `{port}` is filled in."""
    bentoml = str(Path(sys.executable).with_name("bentoml"))
    uvicorn = (
        sys.executable,
        "-m",
        "uvicorn",
        "loadtests.peers.fastapi_app:app",
        "--no-access-log",
        "--port",
        "{port}",
    )
    return [
        Server(_BASE, uvicorn),
        Server(_OURS, (bentoml, "serve", "services.inference.service:InferenceService", "--port", "{port}")),
        Server(
            "bentoml-stock",
            (
                bentoml,
                "serve",
                "loadtests.peers.stock_bento:Stock",
                "--host",
                "127.0.0.1",
                "--port",
                "{port}",
            ),
        ),
    ]


def main() -> None:
    """Run, print a table, and one plain line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="seconds of load per server, workload and round"
    )
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections")
    parser.add_argument(
        "--nice",
        type=int,
        default=0,
        help="priority of servers and load, such as -15 where other programs run (root)",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        measured = _measure(
            Path(folder), arguments.rounds, arguments.seconds, arguments.connections, arguments.nice
        )
    _print(measured)


def _measure(
    folder: Path, rounds: int, seconds: float, connections: int, nice: int
) -> dict[tuple[str, str], list[Load]]:
    write_model(folder / "model.onnx")
    release_model(folder, folder / "model.onnx")
    bodies = {
        f"{count} row" + "s" * (count > 1): json.dumps(
            {"rows": [{"x": row} for row in example_rows(count)]}
        ).encode()
        for count in (1, 64)
    }
    measured: dict[tuple[str, str], list[Load]] = {}
    cores = sorted(os.sched_getaffinity(0))
    with _running(folder, cores[0], nice) as ports:
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[-1]})
        for number in range(rounds + 1):
            for workload, body in bodies.items():
                for name, port in ports.items():
                    length = seconds if number else min(seconds, 1.0)
                    load = generate(
                        "127.0.0.1", port, post("/predict", body), connections=connections, seconds=length
                    )
                    if number:  # the first round warms up
                        measured.setdefault((workload, name), []).append(load)
    return measured


@contextmanager
def _running(folder: Path, core: int, nice: int) -> Iterator[dict[str, int]]:
    environment = {
        **os.environ,
        "BENTOML_DO_NOT_TRACK": "True",
        "BENCH_MODEL": str(folder / "model.onnx"),
        "HOMEOSTAT_HOME": str(folder),
        "HOMEOSTAT_INFERENCE_DEVICE": "cpu",
        "PYTHONPATH": str(_ROOT),
    }
    started: list[subprocess.Popen[bytes]] = []
    ports: dict[str, int] = {}
    try:
        for server in servers():
            port = ports[server.name] = free_port()
            command = [part.format(port=port) for part in server.command]
            with (folder / f"{server.name}.log").open("wb") as log:
                process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=log, stderr=log)
            os.sched_setaffinity(process.pid, {core})
            started.append(process)
        for server in servers():
            _wait(server.name, ports[server.name], folder / f"{server.name}.log")
        if nice:
            _prioritise([os.getpid(), *(process.pid for process in started)], nice)
        yield ports
    finally:
        for process in started:
            _end(process)


def _wait(name: str, port: int, log: Path) -> None:
    body = json.dumps({"rows": [{"x": example_rows(1)[0]}]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", data=body, headers={"Content-Type": "application/json"}
    )
    for _ in range(300):
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:  # not there yet, or the socket is open and nobody behind it
            time.sleep(0.2)
    raise SystemExit(f"{name} did not answer within a minute:\n{log.read_text()[-2000:]}")


def _prioritise(roots: list[int], nice: int) -> None:
    """Raise the priority of processes and their children, and of their sessions, which Linux weighs first."""
    for root in roots:
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            process.nice(nice)
            with suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text(str(nice))


def _end(process: subprocess.Popen[bytes]) -> None:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for left in alive:
        left.kill()


def _print(measured: dict[tuple[str, str], list[Load]]) -> None:
    workloads = list(dict.fromkeys(workload for workload, _ in measured))
    ratios: dict[tuple[str, str], float] = {}
    print(
        f"{'workload':9} {'server':14} {'answers/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7} "
        f"{'x ' + _BASE:>10} {'load CPU':>9}"
    )
    for workload in workloads:
        names = [name for kind, name in measured if kind == workload]
        for name in names:
            loads, base = measured[workload, name], measured[workload, _BASE]
            ratio = statistics.median(
                load.per_second / other.per_second for load, other in zip(loads, base, strict=True)
            )
            ratios[workload, name] = ratio
            print(
                f"{workload:9} {name:14} {statistics.median(load.per_second for load in loads):10.0f} "
                f"{1000 * statistics.median(load.percentile(0.5) for load in loads):8.2f} "
                f"{1000 * statistics.median(load.percentile(0.99) for load in loads):8.2f} "
                f"{sum(load.errors for load in loads):7d} {ratio:10.2f} "
                f"{statistics.median(load.generator_cpu for load in loads):9.2f}"
            )
    parts = [
        f"{workload.replace(' ', '_')}: {_OURS}/{other}={ratios[workload, _OURS] / ratios[workload, other]:.2f}"
        for workload in workloads
        for other in (_BASE, "bentoml-stock")
    ]
    errors = sum(load.errors for loads in measured.values() for load in loads)
    print(f"bench-serving: {' '.join(parts)} errors={errors}")


if __name__ == "__main__":
    main()
