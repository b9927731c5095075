"""A loaded version: everything a request needs, computed when it is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import orjson

from services.inference.declared_precision import Form
from services.inference.models.call_estimate import CallEstimate
from services.inference.models.input_schema import Batch, Schema
from services.inference.models.labels import Labels
from shared.contracts.event_time import INSTANT
from shared.contracts.loop_spec import DEFAULT_BOUND
from shared.contracts.manifest import Manifest, short
from shared.contracts.release import Release
from shared.contracts.version_files.names import ARCHIVE
from shared.errors import UnservableModel
from shared.models.answer_checks import answer_check, check_rows
from shared.models.contract import check_signature
from shared.models.runtime_errors import MODEL_FAILED
from shared.models.tensor_type import TensorType
from shared.personal_data.pseudonyms import Pseudonyms

Array = npt.NDArray[Any]

_FLOAT32 = np.dtype(np.float32)
_MEASUREMENTS = 5
# Calls are made together if a row among many takes at most this share of a row alone; less is not worth other last bits.
_BATCH_GAIN = 0.5
_BATCH_ROWS = 8  # rows that say anything about it


class Engine(Protocol):
    """Runs a model file."""

    @property
    def device(self) -> str: ...

    @property
    def inputs(self) -> tuple[TensorType, ...]: ...

    @property
    def outputs(self) -> tuple[TensorType, ...]: ...

    @property
    def form(self) -> Form: ...

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Sizes to which batches are filled up, so that each is tried at load; empty if any size is as good."""
        ...

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array: ...


@runtime_checkable
class Stoppable(Protocol):
    """An engine whose calls may not end by themselves."""

    def stop(self, thread: int) -> None: ...


class Servable:
    """One version under one generation. `in_flight` and `retired` belong to the slot."""

    def __init__(
        self,
        release: Release,
        manifest: Manifest,
        engine: Engine,
        *,
        loaded_at: datetime,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        """Raises UnservableModel if the engine's inputs or output are against the model contract, or `pseudonyms` are needed."""
        self.model = release.model
        self.version = release.version
        self.version_short = short(release.version)
        self.generation = release.generation
        self.release = release
        self.manifest = manifest
        self.loaded_at = loaded_at
        self.device = engine.device
        self.memory_bytes = 0  # what loading it took; measured only where memory is bounded
        self.form = engine.form
        # Largest difference of its answers from those in float32; None if they are computed in it.
        self.difference: float | None = None
        bound = manifest.loop.event_time.bound
        self.time_bound = None if bound == DEFAULT_BOUND else bound // INSTANT
        self.in_flight = 0
        self.retired = False
        signature = check_signature(
            manifest.features, manifest.prediction, engine.inputs, engine.outputs, matrix=manifest.matrix
        )
        try:
            self.schema = Schema(
                manifest.features,
                matrix_columns=signature.matrix_columns,
                pseudonymise=None if pseudonyms is None else pseudonyms.of,
            )
        except ValueError as error:
            raise UnservableModel(
                f"version {self.version_short} of {self.model}: {error}",
                hint="see the key pseudonyms.key in the security page",
            ) from error
        self._pseudonyms = pseudonyms
        self._sees_personal = any(one.personal and one.personal != "pseudonym" for one in manifest.features)
        self.inputs = signature.inputs
        self.output = signature.output
        self.scores = manifest.prediction.has_score
        self.width = manifest.prediction.width
        self.names = manifest.prediction.names
        self.labels = Labels(manifest.prediction)
        self.classes = len(self.labels)
        # Values and embeddings: the log holds float32, and the reply the same numbers.
        self.is_vector = self.width > self.classes
        self._check = answer_check(manifest.prediction.kind)
        self._arrange = None if signature.takes_arrays else signature.arrange
        self.batch_sizes = engine.batch_sizes
        self._engine: Engine | None = engine
        # Whether calls that wait together are made as one: then an answer's last bits may depend on its neighbours.
        self.batches = False
        self.was_stopped = False  # a call of it: then none is made on the event loop any more
        # On the CPU the calling thread's own time: what else a busy machine does does not make the model slow.
        self.estimate = CallEstimate(time.thread_time if self.device == "cpu" else time.perf_counter)
        self.reply_head = (
            b'{"model":'
            + orjson.dumps(self.model)
            + b',"version":'
            + orjson.dumps(self.version)
            + b',"generation":%d' % self.generation
            # An answer of the live version has no slot, as before there were others.
            + (b"" if release.slot == "live" else b',"slot":%b' % orjson.dumps(release.slot))
            + b',"predictions":'
        )

    @property
    def runtime(self) -> str:
        """What computes it."""
        return "torch" if self.manifest.model_file == ARCHIVE else self.form.runtime

    def stored_key(self, key: str | None) -> str | None:
        """What the log holds of a request's key. Without the secret of pseudonyms, nothing."""
        personal = self.manifest.loop.key.personal
        if key is None or not personal:
            return key
        return None if personal == "drop" or self._pseudonyms is None else self._pseudonyms.of(key)

    def run(self, batch: Batch) -> Array:
        """The output for checked rows: one score, `width` numbers or one tensor per row. Raises UnservableModel."""
        if self._engine is None:
            raise UnservableModel(f"version {self.version_short} of {self.model} was unloaded")
        feeds = batch.feeds
        if self._arrange is not None:
            feeds = self._arrange(feeds)
        try:
            output = self._engine.run(self.output.name, feeds)
        except UnservableModel as error:
            if not self._sees_personal or not error.message.startswith(MODEL_FAILED):
                raise
            # A runtime may name the value that it fails on.
            raise UnservableModel(
                MODEL_FAILED,
                hint="its features are personal, so the reason, which may show a value, is left out",
            ) from None
        output = check_rows(output, batch.rows, scores=self.scores, width=self.width)
        if self.is_vector and not (output.dtype == _FLOAT32 and output.flags.c_contiguous):
            with np.errstate(over="ignore"):  # becomes infinite, and is refused
                output = np.ascontiguousarray(output, np.float32)
        self._check(output)
        return output

    def stop_call(self, thread: int) -> bool:
        """Stop the call that this thread makes, which then raises CallStopped; False: this engine cannot. For any thread."""
        self.was_stopped = True
        if isinstance(engine := self._engine, Stoppable):
            engine.stop(thread)
            return True
        return False

    def measure(self, one: Batch, many: Batch) -> None:
        """Time calls of one row and of many, for the estimate and for `batches`."""
        alone = _fastest(lambda: self.run(one), self.estimate.clock)
        together = _fastest(lambda: self.run(many), self.estimate.clock)
        per_row = max(0.0, (together - alone) / max(1, many.rows - one.rows))
        self.estimate.start_with(per_call=alone, per_row=per_row)
        self.batches = many.rows >= _BATCH_ROWS and together < _BATCH_GAIN * many.rows / one.rows * alone

    def seconds(self, rows: int) -> float:
        """Expected duration of a call with this many rows."""
        return self.estimate.seconds(rows)

    def share(self, rows: int) -> float:
        """Expected seconds that these rows add to the calls before them."""
        return self.estimate.seconds_added(rows) if self.batches else self.seconds(rows)

    def close(self) -> None:
        """Release the engine and its memory."""
        self._engine = None


def _fastest(call: Callable[[], object], clock: Callable[[], float]) -> float:
    seconds = []
    for _ in range(_MEASUREMENTS):
        start = clock()
        call()
        seconds.append(clock() - start)
    return min(seconds)
