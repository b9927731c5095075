"""A model in an isolated process, used like one in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from shared.errors import UnservableModel
from shared.models.isolation.frames import describe, restore
from shared.models.tensor_type import TensorType

Array = npt.NDArray[Any]
# Sends work and returns the result: a head and bytes.
Ask = Callable[[str, Mapping[str, Any], list[memoryview]], tuple[dict[str, Any], memoryview]]


class IsolatedEngine:
    """The engine of a model that is loaded in an isolated process."""

    def __init__(self, loaded: Mapping[str, Any], ask: Ask) -> None:
        """`loaded`: the reply to `load`. Raises KeyError, TypeError, ValueError where it is none."""
        self.inputs = _tensors(loaded["inputs"])
        self.outputs = _tensors(loaded["outputs"])
        self.seconds = 0.0  # of the last run, measured in the process
        self.memory_bytes: int | None = None
        self._ask = ask

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        """One output for the given inputs. Raises UnservableModel where the model, its process or the time limit ends it."""
        described, body = describe(feeds)
        reply, parts = self._ask("run", {"output": output, "feeds": described}, body)
        try:
            self.seconds = float(reply["seconds"])
            self.memory_bytes = int(reply["memory_bytes"])
            return restore(reply["output"], parts)["output"]
        except (KeyError, TypeError, ValueError) as error:
            raise UnservableModel("the isolated process sent no output") from error


def _tensors(described: list[Any]) -> tuple[TensorType, ...]:
    return tuple(TensorType(name, kind, tuple(shape)) for name, kind, shape in described)
