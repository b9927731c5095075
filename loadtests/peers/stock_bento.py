"""BentoML as its own quickstart would have it: API methods with arrays, batchable or not, everything else as it comes."""

from __future__ import annotations

from typing import Annotated, Any

import bentoml
import numpy as np
import numpy.typing as npt
from bentoml.validators import DType, Shape

from loadtests.peers.engine import open_session

Array = npt.NDArray[Any]
Rows = Annotated[np.ndarray, DType("float32"), Shape((-1, 32))]


@bentoml.service
class Stock:
    """The same model behind BentoML's own API."""

    def __init__(self) -> None:
        self.session = open_session("mlp")

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, x: Rows) -> np.ndarray:
        """Probabilities of the rows."""
        return self._run(x)

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]
    def batched(self, x: Rows) -> np.ndarray:
        """Probabilities of the rows, in adaptive batches."""
        return self._run(x)

    def _run(self, x: Array) -> Array:
        answers: Array = self.session.run(None, {"x": x})[0]
        return answers
