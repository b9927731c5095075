"""A trial of new versions without a process: what the isolated process does, done here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from services.inference.models.loader import Trial
from services.inference.models.servable import Engine
from shared.models.file_safety import check_model_file


def trial_in_this_process(engine: Callable[[bytes], Engine]) -> Trial:
    """Checks the bytes and makes an engine of them."""

    @contextmanager
    def opened(model: bytes) -> Iterator[Engine]:
        check_model_file(model)
        yield engine(model)

    def trial(model: bytes, is_wanted: Callable[[], bool]) -> AbstractContextManager[Engine]:
        return opened(model)

    return trial
