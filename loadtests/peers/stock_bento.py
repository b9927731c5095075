"""BentoML as its own quickstart would have it: one API method, everything else as it comes."""

from __future__ import annotations

import bentoml
import numpy as np
from pydantic import BaseModel

from loadtests.peers.engine import open_session


class Row(BaseModel):
    """One row."""

    x: list[float]


@bentoml.service
class Stock:
    """The same model behind BentoML's own API."""

    def __init__(self) -> None:
        self.session = open_session()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[Row]) -> list[float]:
        """Scores of the rows."""
        x = np.array([row.x for row in rows], np.float32)
        scores: list[float] = self.session.run(["score"], {"x": x})[0].tolist()
        return scores
