"""Runs a model on the CPU for deployment and the gate, after checking it against the model contract."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.models.answer_checks import check_finite, check_probabilities, check_probability, check_rows
from shared.models.contract import check_signature
from shared.models.feature_arrays import to_arrays
from shared.models.tensor_type import TensorType

Array = npt.NDArray[Any]

_ROWS_PER_CALL = 16_384
# A model of texts makes a number per row and word of its vocabulary: of 100,000 words 200 MiB in float32.
_TEXTS_PER_CALL = 512
# Of tensors, so many numbers: 32 MiB, and of what a network makes of them some times more.
_NUMBERS_PER_CALL = 1 << 23


class Engine(Protocol):
    """Runs a model file."""

    @property
    def inputs(self) -> tuple[TensorType, ...]: ...

    @property
    def outputs(self) -> tuple[TensorType, ...]: ...

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array: ...


class ModelRunner:
    """A model that satisfies the contract of `spec`."""

    def __init__(self, engine: Engine, spec: LoopSpec) -> None:
        """Raises UnservableModel that names what is against the contract."""
        self._engine = engine
        self._features = spec.features
        self._signature = check_signature(
            spec.features, spec.prediction, engine.inputs, engine.outputs, matrix=spec.matrix
        )
        self._rows_per_call = _rows_per_call(spec.features)
        self._scores = spec.prediction.has_score
        self._width = spec.prediction.width
        self._classes = bool(spec.prediction.labels)
        self._probability = spec.prediction.kind == "probability"

    def feeds(self, rows: pa.Table) -> Mapping[str, Array]:
        """The model's inputs for rows with one column per feature."""
        arrays = to_arrays(self._features, rows, matrix_columns=self._signature.matrix_columns)
        return self._signature.arrange(arrays)

    def run(self, feeds: Mapping[str, Array]) -> Array:
        """One call: a score, a row of numbers or a flat tensor per row. Raises UnservableModel if the model fails."""
        output = self._engine.run(self._signature.output.name, feeds)
        rows = len(next(iter(feeds.values())))
        output = check_rows(output, rows, scores=self._scores, width=self._width)
        return output if self._scores else output.reshape(rows, -1)

    def seconds(self, feeds: Mapping[str, Array]) -> float:
        """The duration of one call. Raises as `run` does."""
        started = time.perf_counter()
        self.run(feeds)
        return time.perf_counter() - started

    @property
    def memory_bytes(self) -> int | None:
        """The memory that loading and running it took so far; None where it shares its process."""
        return None

    def outputs(self, rows: pa.Table) -> Array:
        """One score, one row of numbers (see `Prediction.width`), or one flat tensor, per row.

        Raises UnservableModel if an output is not finite or no probability, or if those of a row do not sum to 1.
        """
        feeds = self.feeds(rows)
        chunks = []
        size = self._rows_per_call
        for start in range(0, rows.num_rows, size):
            chunk = self.run({name: array[start : start + size] for name, array in feeds.items()})
            check_finite(chunk, first_row=start)
            if self._classes:
                check_probabilities(chunk, first_row=start)
            if self._probability:
                check_probability(chunk, first_row=start)
            chunks.append(chunk)
        if not chunks:
            return np.empty((0, self._width), np.float32) if self._width else np.empty(0)
        return np.concatenate(chunks)

    def score(self, rows: pa.Table) -> Array:
        """A score per row, float64 [N]; a row of numbers, float32 [N, K]; of a tensor, its mean.

        Raises UnservableModel like `outputs`.
        """
        outputs = self.outputs(rows)
        if self._width:
            return outputs.astype(np.float32, copy=False)
        return (outputs.mean(axis=1) if outputs.ndim == 2 else outputs).astype(np.float64)


def _rows_per_call(features: Sequence[Feature]) -> int:
    """How many rows are scored at once in bounded memory."""
    maximum = _TEXTS_PER_CALL if any(feature.type == "text" for feature in features) else _ROWS_PER_CALL
    numbers = sum(math.prod(feature.shape) for feature in features if feature.shape)
    return max(1, min(maximum, _NUMBERS_PER_CALL // max(1, numbers)))
