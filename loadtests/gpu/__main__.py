"""Correctness, throughput and latency by batch, HTTP beside the bare runtime, and memory over swaps, on a device, against bars.

    python -m loadtests.gpu [--device cuda] [--small] [--precision fp32] [--swaps 500] [--only correctness,runtime,http,swaps]

Exit status: 0 if every bar was measured and holds, 1 if one is missed, 2 if there is no device: nothing was measured then.
`--device cpu --small` tries the same program on the CPU with a small network; bars for speed mean nothing there and do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from loadtests.bench_model import release_file, release_model, write_models
from loadtests.gpu.http_part import load_server
from loadtests.gpu.limits import (
    MAX_BATCH_TIMES,
    MAX_DIFFERENCE,
    MAX_GROWTH_MIB,
    MIN_SHARE_OF_BARE,
    Report,
)
from loadtests.gpu.network import RESNET50, SMALL, Network, images, make_network, to_onnx
from loadtests.gpu.runtime_part import differences, timings
from loadtests.gpu.server import serving
from loadtests.gpu.swap_part import swap
from services.inference.declared_precision import Form
from services.inference.runtimes.devices import Device, choose_device
from shared.errors import OperatorError

_PARTS = ("correctness", "runtime", "http", "swaps")
_SWAPPED = "mlp"


def main(arguments: list[str] | None = None) -> int:
    """Run the parts and print what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.gpu", description="What a GPU brings, against bars."
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="a small network, and few calls")
    parser.add_argument("--precision", choices=("fp32", "tf32", "fp16"), default="fp32")
    parser.add_argument("--batch", type=int, default=0, help="largest batch; 0: 128, or 8 with --small")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="seconds of HTTP load; 0: 20, or 1 with --small"
    )
    parser.add_argument("--swaps", type=int, default=500)
    parser.add_argument("--only", default=",".join(_PARTS), help="parts, by name")
    options = parser.parse_args(arguments)
    try:
        device = choose_device(options.device)
    except OperatorError as error:
        print(f"gpu: nothing was measured: {error.message}")
        return 2
    report = Report()
    batch = options.batch or (8 if options.small else 128)
    network = make_network(SMALL if options.small else RESNET50)
    raw = to_onnx(network)
    form = Form(options.precision)
    only = set(options.only.split(","))
    if "correctness" in only:
        for precision, difference in differences(network, raw, device).items():
            what = f"difference of {precision} from float64"
            report.at_most(what, difference, MAX_DIFFERENCE[precision])
    batch_seconds, bare_per_second = float("nan"), float("nan")
    if only & {"runtime", "http"}:
        batch_seconds, bare_per_second = _runtime(
            report, network, raw, device, form, batch, small=options.small
        )
    if only & {"http", "swaps"}:
        with tempfile.TemporaryDirectory(prefix="homeostat-gpu-") as folder:
            _served(report, Path(folder), network, raw, options, batch, batch_seconds, bare_per_second, only)
    print(f"device {device.name}, {network.size.name}, {form}, largest batch {batch}")
    print("\n".join(report.lines))
    is_trial = device.name == "cpu"
    missed = [what for what in report.missed if not (is_trial and what.startswith("speed"))]
    held = "the bars of correctness and memory hold" if is_trial else "every bar holds"
    print(
        f"gpu: {'a trial on the CPU, which says nothing of a GPU: ' if is_trial else ''}"
        f"{'missed: ' + ', '.join(missed) if missed else held}"
    )
    return 1 if missed else 0


def _runtime(
    report: Report, network: Network, raw: bytes, device: Device, form: Form, batch: int, *, small: bool
) -> tuple[float, float]:
    """Times by batch; returns the bare runtime's seconds of the largest batch, and its best rows a second."""
    sizes = (*(2**power for power in range(batch.bit_length()) if 2**power < batch), batch)
    found = timings(network, raw, device, form, sizes, calls=5 if small else 50)
    report.note(f"{'rows':>6} {'rows/s':>10} {'bare':>10} {'p50 ms':>8} {'p99 ms':>8} {'bare p50':>9}")
    for one in found:
        ours, bare = 1e3 * np.array(one.ours), 1e3 * np.array(one.bare)
        report.note(
            f"{one.rows:6d} {1e3 * one.rows / np.median(ours):10.0f} {1e3 * one.rows / np.median(bare):10.0f} "
            f"{np.median(ours):8.2f} {np.percentile(ours, 99):8.2f} {np.median(bare):9.2f}"
        )
    report.at_least("speed of bound calls, share of bare", min(one.ratio for one in found), MIN_SHARE_OF_BARE)
    best = max(one.rows / float(np.median(one.bare)) for one in found)
    return float(np.median(found[-1].bare)), best


def _served(
    report: Report,
    home: Path,
    network: Network,
    raw: bytes,
    options: argparse.Namespace,
    batch: int,
    batch_seconds: float,
    bare_per_second: float,
    only: set[str],
) -> None:
    name = network.size.name
    (home / f"{name}.onnx").write_bytes(raw)
    release_file(home, name, images(network, 16), network.size.answers)
    write_models(home)
    version = release_model(home, _SWAPPED)
    settings = {
        "HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL": f'{{"{name}": "{options.precision}"}}',
        "HOMEOSTAT_INFERENCE_MAXIMUM_BATCH_ROWS": str(batch),
        "HOMEOSTAT_INFERENCE_MAXIMUM_IN_FLIGHT": str(4 * batch),
        "HOMEOSTAT_INFERENCE_QUEUE_SECONDS": "30",
        "HOMEOSTAT_INFERENCE_POLL_SECONDS": "0.02",
        "HOMEOSTAT_INFERENCE_SPOOL_BYTES": str(16 << 30),
    }
    with serving(home, device=options.device, settings=settings, models=2) as server:
        if "http" in only:
            seconds = options.seconds or (1.0 if options.small else 20.0)
            load_server(server.port, network, connections=batch, seconds=min(2.0, seconds))  # warms up
            found = load_server(server.port, network, connections=batch, seconds=seconds)
            report.note(
                f"HTTP, {batch} connections: {found.per_second:.0f} rows/s, p50 {1e3 * found.p50:.1f} ms, "
                f"p99 {1e3 * found.p99:.1f} ms"
            )
            report.at_most("failed requests", found.errors, 0)
            dropped = server.metric("homeostat_inference_spool_dropped_rows_total") or 0
            report.at_most("rows that were not logged", dropped, 0)
            share = found.per_second / bare_per_second
            report.at_least("speed through HTTP, share of bare", share, MIN_SHARE_OF_BARE)
            times = found.p99 / batch_seconds
            report.at_most("speed: p99 in times of the largest batch", times, MAX_BATCH_TIMES)
        if "swaps" in only:
            swaps = swap(server, home, _SWAPPED, version, options.swaps)
            what = f"growth of memory over {swaps.swaps} swaps"
            report.at_most(what, swaps.growth / 2**20, MAX_GROWTH_MIB, " MiB")


if __name__ == "__main__":
    sys.exit(main())
