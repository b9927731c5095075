"""Hand-written FastAPI around onnxruntime: validated by pydantic, no metrics, no log, no swap."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from loadtests.peers.engine import open_session


class Row(BaseModel):
    """One row."""

    x: list[float]


class Body(BaseModel):
    """A request."""

    rows: list[Row]


session = open_session()
app = FastAPI()


@app.post("/predict")
async def predict(body: Body) -> dict[str, list[float]]:
    """Scores of the rows."""
    x = np.array([row.x for row in body.rows], np.float32)
    return {"scores": session.run(["score"], {"x": x})[0].tolist()}
