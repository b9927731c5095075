"""Models that are opened in the process of the test: what an isolated process adds is tested with real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.contracts.loop_spec import LoopSpec
from shared.models.runners.loading import load_model
from shared.models.runners.model_runner import ModelRunner


@contextmanager
def open_in_process(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
    """See services.retraining.isolated_models.OpenModel."""
    yield load_model(path, spec)
