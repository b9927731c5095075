"""Models of several values and of embeddings that one can check by head: a row's answer is a line of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest
from tests.fakes.class_model import class_loop, put_table
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore

NAMES = ("low", "mid", "high")
LINES = np.array([[1.0, 2.0, 4.0], [-1.0, 0.5, 8.0], [10.0, 20.0, 40.0]], np.float32)
EMBEDDING: dict[str, Any] = {"kind": "embedding", "size": 3, "output": "vector"}
DOCUMENT: dict[str, Any] = {
    "model": "vectors",
    "features": [{"name": "line", "type": "integer"}],
    "prediction": EMBEDDING,
    "drift": {"window": {"every": "1d"}},
}


def values_loop(names: Sequence[str] = NAMES, **changes: Any) -> LoopSpec:
    """Three named numbers per row, measured by the mean absolute error."""
    prediction = {"kind": "values", "names": list(names), "output": "numbers"}
    return class_loop(**{"model": "ranges", "prediction": prediction, "metric": {"name": "mae"}} | changes)


def embedding_loop(**changes: Any) -> LoopSpec:
    """An embedding of three numbers: no outcome, metric, retraining or gate."""
    return LoopSpec.model_validate(DOCUMENT | changes)


def put_vectors(toys: ToyStore, loop: LoopSpec, **changed: pa.Array | None) -> Manifest:
    """Package a version that answers LINES; `changed` replaces columns of its reference, None leaves one out."""
    return put_table(toys, loop, LINES, changed=dict(changed))


def serving(toys: ToyStore, loop: LoopSpec) -> InferenceServer:
    """A server with that model alone."""
    toys.release(put_vectors(toys, loop).version, model=loop.model)
    return InferenceServer(toys)
