"""A trial of new versions without a process: what the isolated process does, done here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from services.inference.models.loader import Trial
from services.inference.models.servable import Engine
from services.inference.runtimes.engines import EngineOptions
from shared.contracts.version_files.names import MODEL
from shared.models.file_safety import check_model_file


def trial_in_this_process(engine: Callable[[str, bytes, EngineOptions], Engine]) -> Trial:
    """Checks the bytes and makes an engine of them."""

    @contextmanager
    def opened(name: str, model: bytes, options: EngineOptions) -> Iterator[Engine]:
        if name == MODEL:
            check_model_file(model)
        yield engine(name, model, options)

    def trial(
        name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> AbstractContextManager[Engine]:
        return opened(name, model, options)

    return trial
