"""`make gpu` on the CPU: every part of the program runs, against a real server, so that on a GPU it is known to work."""

from __future__ import annotations

import re

import onnxruntime
import pytest

from loadtests.gpu.__main__ import main


def test_every_part_runs_on_the_cpu(capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["--device", "cpu", "--small", "--batch", "4", "--seconds", "0.3", "--swaps", "2"])
    out = capfd.readouterr().out
    for line in (
        r"difference of fp32 from float64: \S+ \(bar: at most 0.0001, met\)",
        r"difference of fp16 from float64: \S+ \(bar: at most 0.01, met\)",
        r" +4 +\d+ +\d+ +\S+ +\S+ +\S+",
        r"HTTP, 4 connections: [1-9]\d* rows/s, p50 \S+ ms, p99 \S+ ms",
        r"failed requests: 0 \(bar: at most 0, met\)",
        r"rows that were not logged: 0 \(bar: at most 0, met\)",
        r"growth of memory over 2 swaps: \S+ MiB \(bar: at most 64 MiB, met\)",
        r"gpu: a trial on the CPU, which says nothing of a GPU: the bars of correctness and memory hold",
    ):
        assert re.search(f"^{line}$", out, re.MULTILINE), out
    assert status == 0


def test_without_a_device_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert main([]) == 2
    assert capsys.readouterr().out == (
        "gpu: nothing was measured: HOMEOSTAT_INFERENCE_DEVICE=cuda, but CUDA is not usable: "
        "this onnxruntime was built without CUDA\n"
    )


def test_missed_bar_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(main.__globals__["MAX_DIFFERENCE"], "fp16", 1e-9)
    assert main(["--device", "cpu", "--small", "--only", "correctness"]) == 1
    assert "missed: difference of fp16 from float64" in capsys.readouterr().out
