"""This server beside a hand-written FastAPI application, stock BentoML and mosec: same models, same requests, one core each.

    python -m loadtests.bench_serving [--rounds 5] [--seconds 1] [--connections 16,64] [--mosec PYTHON] [--beside CHECKOUT]
        [--growing-log]

All servers run at once on the first core, the load on the last; cells are interleaved and ratios taken inside a round. The
measure is CPU time per request of a server's processes, by the scheduler's nanoseconds: other programs change it less than they
change answers per second. Our server runs with validation, metrics and the prediction log on, and its log is read and deleted as
a shipper does; the others have validation at most.
Absolute figures are of one machine and hour: quote the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from loadtests.bench_model import SHAPES, release_model, write_models
from loadtests.bench_table import release_table, write_table_model
from loadtests.contenders import BASE, KEY, OURS, Contender, contenders, running
from loadtests.log_reader import reading_log
from loadtests.measurement import Measurement, measure
from loadtests.workloads import WORKLOADS, write_bodies
from shared.access.api_key import make_key
from shared.access.key_file import FILE_NAME, KeyFile
from shared.access.scope import Scope

# At least so many times less CPU per request than the other server.
BARS: dict[str, dict[str, float]] = {
    BASE: {"tab1": 5.0, "tab64": 6.0, "img": 2.3},
    "mosec": {"tab1": 3.0, "tab64": 2.3, "img": 1.6},
}
# At most so many times the CPU of our infer route.
_PREDICT = f"{OURS}-predict"
MAX_RATIOS = {
    _PREDICT: dict.fromkeys(("tab1", "tab64", "named1", "named64"), 1.1),
    f"{OURS}-key": dict.fromkeys(("tab1", "tab64"), 1.1),
}


def main() -> int:
    """Run, print a table and one plain line; 0 only if every goal is met and no request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of load per cell")
    parser.add_argument(
        "--connections",
        default="16",
        help="keep-alive connections; with several, such as 1,16,64,200, p99 is compared at each, and CPU at 16",
    )
    parser.add_argument("--work", default=",".join(WORKLOADS), help="workloads, by name")
    parser.add_argument("--only", default="", help="servers, by name; empty: all")
    parser.add_argument(
        "--mosec", default="", help="Python of an environment with mosec, numpy, onnxruntime, onnx and orjson"
    )
    parser.add_argument(
        "--beside", default="", help="another checkout of this repository, to compare commits"
    )
    parser.add_argument(
        "--growing-log",
        action="store_true",
        help="let nobody read the prediction log, as with a shipper that is stopped",
    )
    arguments = parser.parse_args()
    only = set(filter(None, arguments.only.split(",")))
    taking_part = [
        one
        for one in contenders(mosec=arguments.mosec, beside=arguments.beside)
        if not only or one.name in only
    ]
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        cells = _run(
            Path(folder),
            taking_part,
            arguments.work.split(","),
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            connections=[int(one) for one in arguments.connections.split(",")],
            reads_log=not arguments.growing_log,
        )
    met = _print(cells)
    if "," in arguments.connections:
        met = _print_p99(cells) and met
    return 0 if met else 1


def _run(
    folder: Path,
    taking_part: list[Contender],
    workloads: list[str],
    *,
    rounds: int,
    seconds: float,
    connections: list[int],
    reads_log: bool,
) -> dict[tuple[str, str], list[Measurement]]:
    write_models(folder)
    for name in SHAPES:
        release_model(folder, name)
    write_table_model(folder)
    release_table(folder)
    write_bodies(folder)
    _write_key(folder)
    cells: dict[tuple[str, str], list[Measurement]] = {}
    cores = sorted(os.sched_getaffinity(0))
    with running(taking_part, folder, cores[0]) as servers:
        os.sched_setaffinity(0, {cores[-1]})
        with reading_log(folder / "spool") if reads_log else nullcontext():
            for number in range(rounds + 1):
                for workload, count in product(workloads, connections):
                    label = workload if len(connections) == 1 else f"{workload} c={count}"
                    for server in servers:
                        request = WORKLOADS[workload].get(server.contender.dialect)
                        if request is None:
                            continue
                        cell = measure(server, request, folder, seconds=seconds, connections=count)
                        if number:  # the first round warms up
                            cells.setdefault((label, server.contender.name), []).append(cell)
    return cells


def _write_key(home: Path) -> None:
    key, text = make_key("bench", frozenset({Scope.PREDICT}), datetime.now(UTC))
    with KeyFile(home / "keys" / FILE_NAME).changing() as keys:
        keys[key.key_id] = key
    (home / KEY).write_text(text)


def _print(cells: dict[tuple[str, str], list[Measurement]]) -> bool:
    print(
        f"{'workload':9} {'server':18} {'CPU us/request':>14} {'x ' + BASE:>10} {'range':>12} {'answers/s':>10} {'p50 ms':>8} "
        f"{'p99 ms':>8} {'errors':>7}"
    )
    for (workload, name), found in cells.items():
        ratios = _ratios(cells, workload, name, BASE)
        print(
            f"{workload:9} {name:18} {statistics.median(cell.cpu_us for cell in found):14.1f} "
            + (
                f"{statistics.median(ratios):10.2f} {min(ratios):5.2f}-{max(ratios):<6.2f}"
                if ratios
                else f"{'':23}"
            )
            + f" {statistics.median(cell.per_second for cell in found):10.0f} "
            f"{statistics.median(cell.p50_ms for cell in found):8.2f} {statistics.median(cell.p99_ms for cell in found):8.2f} "
            f"{sum(cell.errors for cell in found):7d}"
        )
    parts, all_met = [], True
    for other in dict.fromkeys(name for _, name in cells if name != OURS):
        for workload in dict.fromkeys(workload for workload, _ in cells):
            ratios = _ratios(cells, workload, OURS, other)
            if ratios:
                ratio, cell = statistics.median(ratios), workload.removesuffix(" c=16")
                least, most = BARS.get(other, {}).get(cell), MAX_RATIOS.get(other, {}).get(cell)
                is_met = (least is None or ratio >= least) and (most is None or ratio <= most)
                bar = (
                    f"bar {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
                )
                verdict = f" ({bar}: {'met' if is_met else 'missed'})" if bar else ""
                all_met = all_met and is_met
                parts.append(f"{workload} {other} {ratio:.2f}{verdict}")
    errors = sum(cell.errors for found in cells.values() for cell in found)
    print(f"bench-serving, their CPU as a multiple of ours: {'; '.join(parts)}; errors {errors}")
    return all_met and not errors


def _print_p99(cells: dict[tuple[str, str], list[Measurement]]) -> bool:
    """One plain line: our p99 as a multiple of FastAPI's, the median over rounds; True if it is nowhere above 1."""
    parts, all_met = [], True
    for workload in dict.fromkeys(workload for workload, _ in cells):
        pairs = zip(cells.get((workload, OURS), []), cells.get((workload, BASE), []), strict=False)
        ratios = [ours.p99_ms / theirs.p99_ms for ours, theirs in pairs if theirs.p99_ms]
        if ratios:
            ratio = statistics.median(ratios)
            all_met = all_met and ratio <= 1
            parts.append(f"{workload} {ratio:.2f}{'' if ratio <= 1 else ' (missed)'}")
    print(f"bench-serving, p99 as a multiple of {BASE}'s (bar 1): {'; '.join(parts)}")
    return all_met


def _ratios(
    cells: dict[tuple[str, str], list[Measurement]], workload: str, name: str, other: str
) -> list[float]:
    """How many times the CPU of `name` the other server spends, round by round."""
    ours, theirs = cells.get((workload, name), []), cells.get((workload, other), [])
    return [
        second.cpu_us / first.cpu_us
        for first, second in zip(ours, theirs, strict=False)
        if first.answers and second.answers
    ]


if __name__ == "__main__":
    raise SystemExit(main())
