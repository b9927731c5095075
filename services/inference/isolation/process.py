"""The isolated process for new versions: its models are opened as the server opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from services.inference.isolation.engine import TriedEngine
from services.inference.runtimes.engines import EngineOptions
from shared.errors import UnservableModel
from shared.models.isolation.model_process import ModelProcess
from shared.models.isolation.wording import Wording

# Of the memory that is available, a new version may use so much: the server and its clients need the rest.
_SHARE_OF_AVAILABLE = 0.75
_LIMIT = "HOMEOSTAT_INFERENCE_CANDIDATE_SECONDS is the limit"
_WORDING = Wording(
    process="the isolated process for new versions",
    loading="loading the model",
    running="running the model on reference rows",
    crash_hint="to reproduce it, score rows of reference.parquet with the same runtime in a separate process",
    memory="the model needs more than the {mib} MiB of memory that a new version may use",
    memory_hint="raise HOMEOSTAT_INFERENCE_CANDIDATE_MEMORY_BYTES, give the server more memory, or release a smaller model",
    time="loading and probing the version took longer than {seconds} s",
    time_hint=f"check the model for an endless loop; {_LIMIT}",
)
_WORDING_OF_TENSORRT = replace(_WORDING, time_hint=f"TensorRT can take minutes; {_LIMIT}")


class IsolatedProcess(ModelProcess):
    """Loads new versions outside the server, one at a time."""

    def __init__(
        self,
        *,
        device: str,
        threads: int,
        seconds: float,
        memory_bytes: int,
        program_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`memory_bytes` 0: most of what is available. The others: as in `ModelProcess`."""
        super().__init__(
            "services.inference.isolation",
            (device, str(threads)),
            seconds=seconds,
            memory_bytes=memory_bytes,
            share_of_available=_SHARE_OF_AVAILABLE,
            program_replaced=program_replaced,
        )

    @contextmanager
    def open(
        self, name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[TriedEngine]:
        """The model of a file, loaded in the process. Raises UnservableModel, also when `is_wanted` says no while it waits."""

        def check_wanted() -> None:
            if not is_wanted():
                raise UnservableModel("a newer release replaced this one while it was being loaded")

        wording = _WORDING_OF_TENSORRT if options.form.tensorrt else _WORDING
        with self.load(name, model, options.dump(), wording, check_wanted) as (loaded, ask):
            try:
                engine = TriedEngine(loaded, options.form, ask)
            except (KeyError, TypeError, ValueError) as error:
                raise self.not_understood(f"{type(error).__name__}: {error}") from error
            yield engine
