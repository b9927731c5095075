"""Correctness against float64, and throughput by batch beside the bare runtime, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime

from loadtests.gpu.network import Network, images, run_in_float64
from services.inference.declared_precision import Form, Precision
from services.inference.models.accuracy import largest_difference
from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel
from services.inference.runtimes.providers import provider_options
from shared.errors import UnservableModel

_CHECKED_ROWS = 4


@dataclass(frozen=True)
class Timing:
    """Calls with one size of batch: seconds of each, by us and by the bare runtime, in turn."""

    rows: int
    ours: list[float]
    bare: list[float]

    @property
    def ratio(self) -> float:
        """Our throughput as a share of the bare runtime's."""
        return float(np.median(self.bare) / np.median(self.ours))


def differences(network: Network, raw: bytes, device: Device) -> dict[Precision, float]:
    """The largest difference from float64 by precision, absolute for numbers up to 1, else relative; of those the device has."""
    rows = images(network, _CHECKED_ROWS)
    exact = run_in_float64(network, rows)
    found: dict[Precision, float] = {}
    precisions: tuple[Precision, ...] = ("fp32", "tf32", "fp16")
    for precision in precisions:
        try:
            model = OnnxModel(raw, device=device, threads=0, form=Form(precision))
        except UnservableModel:
            if precision != "tf32":  # the CPU has none
                raise
            continue
        found[precision] = largest_difference(model.run("y", {"x": rows}), exact)[0]
    return found


def timings(
    network: Network, raw: bytes, device: Device, form: Form, sizes: tuple[int, ...], *, calls: int
) -> list[Timing]:
    """Calls of both with the same model, options and rows; interleaved, after each has seen the size."""
    ours = OnnxModel(raw, device=device, threads=0, form=form, maximum_batch_rows=sizes[-1])
    bare = bare_session(raw, device, form)
    found = []
    for size in sizes:
        rows = images(network, size)
        timing = Timing(size, [], [])
        for call in range(calls + 2):
            for seconds, run in (
                (timing.ours, lambda rows=rows: ours.run("y", {"x": rows})),
                (timing.bare, lambda rows=rows: bare.run(["y"], {"x": rows})),
            ):
                took = _timed(run)
                if call > 1:
                    seconds.append(took)
        found.append(timing)
    return found


def bare_session(raw: bytes, device: Device, form: Form) -> onnxruntime.InferenceSession:
    """The runtime as its documentation has it, on the same model."""
    from services.inference.runtimes.half_precision import to_float16

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    model = to_float16(raw) if form.precision == "fp16" else raw
    return onnxruntime.InferenceSession(model, options, providers=provider_options(device, form))


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
