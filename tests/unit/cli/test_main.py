"""How quickly commands start: what they import, and the CPU seconds of real processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
QUICK = (
    ("--help",),
    ("status",),
    ("why", "run-1"),
    ("releases", "parcels"),
    ("init", "--help"),
    ("deploy", "--help"),
    ("doctor", "--help"),
    ("inject", "--help"),
)
# Imported only by the commands that work with them.
HEAVY = (
    *("numpy", "scipy", "pyarrow", "pandas", "onnx", "onnxruntime", "torch", "deltalake", "obstore", "kafka"),
    *(
        "fastapi",
        "uvicorn",
        "httpx",
        "requests",
        "grafana_api",
        "model_signing",
        "mlflow",
        "evidently",
        "jgo",
    ),
    *("pydantic_settings", "structlog", "yaml", "services"),
)
LIMIT_CPU_SECONDS = 0.5
# The same process on an idle machine of the CI's kind; a busy neighbour makes every process slower by the same factor.
IMPORTS = "import typer, rich.console, rich.table, pydantic; pydantic.TypeAdapter(int)"
IMPORTS_CPU_SECONDS = 0.25


def cpu_seconds(*arguments: str, home: Path) -> float:
    """The least CPU seconds, user and system, of three runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
    environment["HOMEOSTAT_HOME"] = str(home)
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_commands_start_within_half_a_cpu_second(tmp_path: Path) -> None:
    slowdown = max(1.0, cpu_seconds("-c", IMPORTS, home=tmp_path) / IMPORTS_CPU_SECONDS)
    spent = {words: cpu_seconds("-m", "cli", *words, home=tmp_path) for words in QUICK[:5]}
    assert {words: s for words, s in spent.items() if s > LIMIT_CPU_SECONDS * slowdown} == {}


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_command_imports_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import sys; from cli.main import app\n"
        f"try: app({list(words)!r})\n"
        "except SystemExit: pass\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "HOMEOSTAT_HOME": str(tmp_path), "HOMEOSTAT_RETRAINING_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.strip().splitlines()[-1] == "loaded []", done.stderr
