"""`homeostat why`: which chain it asks for, and how it shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

VERSION = "ab" * 32


def test_why_explains_and_draws_the_chain(service: FakeService, tmp_path: Path) -> None:
    prediction = "v" * 32
    chain: dict[str, Any] = {
        "version": {"name": VERSION[:12], "run": {"id": "r1", "cause": "c0ffee", "note": "shape [N] [/x]"}},
        "empty": None,
    }
    service.answers[f"GET /predictions/{prediction}/why"] = (200, chain)
    service.answers[f"GET /versions/{VERSION[:12]}/why"] = (200, chain)
    shown = run("why", prediction, "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("Prediction " + prediction)
    assert len(shown.stdout.splitlines()) == 1
    tree = run("why", prediction, "--full", "--retraining-url", service.url, "--home", str(tmp_path))
    for word in ("prediction", "version", "run", "c0ffee"):
        assert word in tree.stdout
    assert "empty" not in tree.stdout
    assert "shape [N] [/x]" in tree.stdout
    assert run("why", VERSION[:12], "--retraining-url", service.url, "--home", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("name", "known", "asked"),
    [
        ("run-" + "c0ffee" * 4, "runs", ["runs"]),
        ("0123456789abcdef" * 2, "causes", ["causes"]),
        ("0123456789abcdef" * 2, "predictions", ["causes", "predictions"]),
        ("0123456789abcdev" * 2, "predictions", ["predictions"]),
        ("0123456789ab", "versions", ["versions"]),
    ],
)
def test_kind_of_a_name(
    service: FakeService, tmp_path: Path, name: str, known: str, asked: list[str]
) -> None:
    chain = {
        "run": {"state": "promoted"},
        "version": {"model": "flights"},
        "cause": {"reason": "the loss rose"},
        "predictions": {"count": 7} if known in ("runs", "causes") else None,
    }
    service.answers[f"GET /{known}/{name}/why"] = (200, chain)
    shown = run("why", name, "--full", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert [request for request, _ in service.asked] == [f"GET /{kind}/{name}/why" for kind in asked]
    forth = known in ("runs", "causes")
    # From a run or cause the chain is drawn from the cause on, else from the answer back to it.
    _, tree = shown.stdout.split("\n", 1)
    assert (tree.index("the loss rose") < tree.index("promoted")) is forth
    assert ("count 7" in shown.stdout) is forth


def test_unknown_name_is_exit_code_3(service: FakeService, tmp_path: Path) -> None:
    name = "ab" * 16
    service.answers[f"GET /predictions/{name}/why"] = (404, {"error": f"the lake has no prediction {name}"})
    shown = run("why", name, "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "has no prediction" in shown.stderr
