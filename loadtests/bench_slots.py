"""What a shadow costs the requests of its model: latency with and without one, on the same server.

    python -m loadtests.bench_slots [--rounds 10] [--seconds 5] [--per-second 200] [--work tab1]

The server runs on the first core, the load on the last, at a steady rate; a latency counts from when a request was due. Each
round measures once without and once with a shadow that answers a copy of every request, in turn first; ratios are taken inside a
round. Absolute figures are of one machine and hour: quote the ratios.
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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.bench_model import SHAPES, release_model, write_models
from loadtests.bench_table import release_table, write_table_model
from loadtests.contenders import OURS, Running, contenders, headers_of, running
from loadtests.load import post
from loadtests.paced import Plan, Record
from loadtests.workloads import WORKLOADS, write_bodies
from shared.contracts.release import Release
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.model_store import open_model_store

MAX_RATIO = 1.05  # of the p99 with a shadow
_MODEL = "mlp"
_CONNECTIONS = 8
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Round:
    """Without and with a shadow: latencies, and CPU time of the server per answer (of the copy too), in seconds."""

    p50: tuple[float, float]
    p99: tuple[float, float]
    cpu: tuple[float, float]


def main() -> int:
    """Run, print one plain line; 0 only if the median ratio of p99 is at most MAX_RATIO and no request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of load per measurement")
    parser.add_argument("--per-second", type=float, default=200.0, help="requests per second")
    parser.add_argument("--work", default="tab1", choices=("tab1", "tab64"), help="rows per request")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        rounds, status, failed = _run(
            Path(folder), arguments.work, arguments.rounds, arguments.seconds, arguments.per_second
        )
    ratios = sorted(one.p99[1] / one.p99[0] for one in rounds)
    medians = [1e3 * statistics.median(one.p50[place] for one in rounds) for place in (0, 1)]
    p99 = [1e3 * statistics.median(one.p99[place] for one in rounds) for place in (0, 1)]
    ratio = statistics.median(ratios)
    cpu = statistics.median(one.cpu[1] / one.cpu[0] for one in rounds)
    print(
        f"shadow: p99 x {ratio:.3f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), {p99[0]:.2f} to {p99[1]:.2f} ms, p50 "
        f"{medians[0]:.2f} to {medians[1]:.2f} ms, CPU x {cpu:.2f} at {arguments.per_second:g} requests/s of "
        f"{arguments.work}; copies {status}; {failed} failed"
    )
    return 0 if ratio <= MAX_RATIO and not failed else 1


def _run(
    folder: Path, work: str, rounds: int, seconds: float, per_second: float
) -> tuple[list[Round], dict[str, int], int]:
    write_models(folder)
    for name in SHAPES:
        release_model(folder, name)
    write_table_model(folder)
    release_table(folder)
    write_bodies(folder)
    cores = sorted(os.sched_getaffinity(0))
    ours = [one for one in contenders() if one.name == OURS]
    found, failed, copies = [], 0, dict[str, int]()
    with running(ours, folder, cores[0]) as (server,):
        os.sched_setaffinity(0, {cores[-1]})
        sent = WORKLOADS[work][server.contender.dialect]
        request = post(sent.path, (folder / sent.body).read_bytes(), headers_of(sent, folder))
        for number in range(rounds + 1):
            records: dict[bool, Record] = {}
            cpu: dict[bool, float] = {}
            for has_shadow in (False, True) if number % 2 else (True, False):
                _serve(server, folder, has_shadow)
                before = server.cpu_seconds()
                records[has_shadow] = _load(server, request, seconds, per_second)
                cpu[has_shadow] = (server.cpu_seconds() - before) / max(1, len(records[has_shadow].due))
                if has_shadow:
                    copies = _sides(server)[0]["requests"]
            failed += sum(record.failed for record in records.values())
            if number:  # the first round warms up
                off, on = records[False], records[True]
                found.append(
                    Round(
                        (off.percentile(0.5), on.percentile(0.5)),
                        (off.percentile(0.99), on.percentile(0.99)),
                        (cpu[False], cpu[True]),
                    )
                )
    return found, copies, failed


def _serve(server: Running, home: Path, has_shadow: bool) -> None:
    """Start or withdraw a shadow of the live version itself, so that it costs what the version does."""
    if bool(_sides(server)) == has_shadow:
        return
    store = open_model_store((home / "models").as_uri(), Keys(home / "keys"))
    live = store.live_release(_MODEL)
    assert live is not None
    store.add_release(
        Release(
            model=_MODEL,
            generation=store.latest_generation(_MODEL) + 1,
            version=live.version,
            reason="shadow" if has_shadow else "withdrawal",
            actor="bench",
            released_at=datetime.now(UTC),
            slot="shadow",
            share=1.0 if has_shadow else 0.0,
        )
    )
    end = time.monotonic() + _WAIT_SECONDS
    while bool(_sides(server)) != has_shadow:
        if time.monotonic() > end:
            raise SystemExit(f"the server did not follow the release log: {_sides(server)}")
        time.sleep(0.1)


def _sides(server: Running) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/status.json", timeout=20) as response:
        models = json.load(response)["models"]
    found: list[dict[str, Any]] = next(model["sides"] for model in models if model["name"] == _MODEL)
    return found


def _load(server: Running, request: bytes, seconds: float, per_second: float) -> Record:
    plan = Plan(server.port, [request.decode("latin-1")], per_second, _CONNECTIONS)
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests.paced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(plan)) + "\n")
        process.stdin.flush()
        time.sleep(seconds)
        text, _ = process.communicate(timeout=60)
    return Record(**json.loads(text))


if __name__ == "__main__":
    sys.exit(main())
