"""Swaps under load, some of the candidates bad: what was answered, how long it took, and what the server kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from loadtests.paced import Record
from shared.contracts.manifest import Manifest
from tests.fakes import bad_models
from tests.fakes.paced_load import PacedLoad
from tests.fakes.socket_server import request
from tests.fakes.toy_model import ROW, ToyStore, toy_onnx
from tests.integration.inference.conftest import InferenceProcess
from tests.waiting import bound

PREDICT = request("/predict", json.dumps({"model": "toy", "rows": [ROW] * 3}).encode())
MIB = 1 << 20
# Each bad candidate, and what the status then says of it.
Bad = tuple[Callable[[ToyStore], Manifest], str]


def _model(make: Callable[[], bytes], problem: str) -> Bad:
    return lambda toys: toys.put(1.0, raw=make()), problem


def _tampered(toys: ToyStore) -> Manifest:
    manifest = toys.put(701.0)
    (toys.home / "models" / "toy" / "versions" / manifest.version / "model.onnx").write_bytes(toy_onnx(6.0))
    return manifest


def _unsigned(toys: ToyStore) -> Manifest:
    manifest = toys.put(702.0)
    signature = toys.home / "models" / "toy" / "versions" / manifest.version / "signature.json"
    text = signature.read_text()
    place = text.index('"payload"') + 40
    signature.write_text(text[:place] + ("B" if text[place] == "A" else "A") + text[place + 1 :])
    return manifest


BAD: dict[str, Bad] = {
    "crash at load": _model(bad_models.crashing_at_load, "SIGFPE"),
    "crash at scoring": _model(bad_models.crashing_at_scoring, "SIGFPE"),
    "NaN": _model(bad_models.answering_nan, "not finite"),
    "hang at load": _model(bad_models.hanging_at_load, "took longer"),
    "hang at scoring": _model(bad_models.hanging_at_scoring, "took longer"),
    "wrong shape": _model(bad_models.of_wrong_shape, "returned shape"),
    "tampered bytes": (_tampered, "digest"),
    "tampered signature": (_unsigned, "signature"),
    "memory": _model(bad_models.greedy, "of memory"),
    "slow": _model(bad_models.slow, "took longer"),
    "other scores": (lambda toys: toys.put(703.0, said=7.0), "when it was packaged"),
}


@dataclass
class Storm:
    """What a run of `storm` measured. Latencies in seconds."""

    good: dict[int, tuple[str, float]] = field(default_factory=dict)  # generation: version and score
    refused: list[str] = field(default_factory=list)
    steady: list[tuple[float, float]] = field(default_factory=list)
    swapping: list[tuple[float, float]] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    growth_bytes: int = 0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.record.due) / (max(self.record.due) - min(self.record.due))

    def mixed(self) -> list[list[object]]:
        """Answers whose version, generation and scores do not belong together."""
        return [
            [version, generation, scores]
            for version, generation, scores in self.record.answers
            if generation not in self.good or self.good[generation] != (version, scores[0]) or len(scores) > 1
        ]

    def p99(self, windows: list[tuple[float, float]]) -> float:
        """Of the requests that were due in these windows."""
        latencies = sorted(
            latency
            for due, latency in zip(self.record.due, self.record.latency, strict=True)
            if any(since <= due < until for since, until in windows)
        )
        return latencies[int(0.99 * len(latencies))]

    def line(self) -> str:
        """The figures in one line."""
        steady, swapping = self.p99(self.steady), self.p99(self.swapping)
        return (
            f"swap storm: {len(self.good) - 1} swaps and {len(self.refused)} refused candidates at {self.per_second:.0f} "
            f"requests/s; {len(self.record.due)} answered, {self.record.failed} failed, {len(self.mixed())} mixed; p99 "
            f"{1e3 * steady:.1f} ms steady, {1e3 * swapping:.1f} ms while swapping (x {swapping / steady:.2f}); memory "
            f"{self.growth_bytes / MIB:+.1f} MiB"
        )


def storm_on_new_server(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    kinds: list[str],
    *,
    candidate_seconds: float,
    **shape: Any,
) -> Storm:
    """A `storm` of that shape on a new server; its figures are shown, and no request may fail or mix versions."""
    toys = ToyStore(folder)
    server = InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_CANDIDATE_SECONDS=str(bound(candidate_seconds)))
    try:
        server.wait_live()
        found = storm(server, toys, kinds, **shape)
    finally:
        server.stop()
    with capsys.disabled():
        print("", found.line())
    assert (found.record.failed, found.record.failures) == (0, [])
    assert found.mixed() == []
    return found


def storm(
    server: InferenceProcess,
    toys: ToyStore,
    kinds: list[str],
    *,
    blocks: int,
    good_per_block: int,
    steady_seconds: float,
    per_second: float,
    warm_blocks: int = 1,
) -> Storm:
    """In each block some quiet seconds, then `good_per_block` swaps with the block's share of bad candidates in between.

    The blocks before `warm_blocks` count for everything except memory.
    """
    found = Storm()
    versions = [(toys.put(float(score)).version, float(score)) for score in range(10, 10 + good_per_block)]
    made = {kind: BAD[kind][0](toys).version for kind in dict.fromkeys(kinds)}
    release = toys.release(versions[0][0])
    found.good[release.generation] = versions[0]
    server.wait_served(release.version)
    before = 0
    with PacedLoad(server.port, [PREDICT], per_second=per_second, connections=16) as load:
        time.sleep(1)
        for block in range(blocks):
            if block == warm_blocks:
                before = server.worker().memory_info().rss
            start = time.monotonic()
            time.sleep(steady_seconds)
            found.steady.append((start, time.monotonic()))
            start = time.monotonic()
            share = kinds[block::blocks]
            for number in range(good_per_block):
                for kind in share[number::good_per_block]:
                    toys.release(made[kind])
                    server.wait(
                        lambda kind=kind: BAD[kind][1] in server.served()["last_error"],  # type: ignore[misc]
                        f"{kind} is refused",
                        60,
                    )
                    found.refused.append(kind)
                # Also back to a version that was live before, under a new generation.
                version, score = versions[(number + 1) % len(versions)]
                release = toys.release(version)
                found.good[release.generation] = (version, score)
                server.wait_generation(release.generation)
            found.swapping.append((start, time.monotonic()))
        server.wait(
            lambda: server.metric('homeostat_inference_loaded_versions{model="toy"}') == 1,
            "old versions are unloaded",
            bound(10),
        )
        found.growth_bytes = server.worker().memory_info().rss - before
    found.record = load.record
    return found
