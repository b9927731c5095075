"""What a process does not need, it does not import: these are started for every new version, and with every server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.waiting import bound

UNNEEDED = {
    "shared.models.isolation.__main__": {"pydantic", "pyarrow", "structlog", "torch"},
    "services.inference.isolation.__main__": {"pydantic", "pyarrow", "structlog", "torch"},
    # BentoML's supervisor imports the service to read its settings.
    "services.inference.service": {"numpy", "pyarrow", "onnxruntime", "prometheus_client"},
}


@pytest.mark.parametrize("module", UNNEEDED)
def test_a_process_imports_only_what_it_needs(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=bound(60), check=True
    )
    imported = set(done.stdout.split())
    assert module in imported
    assert imported & UNNEEDED[module] == set()
