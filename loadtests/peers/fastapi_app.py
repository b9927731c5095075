"""Hand-written FastAPI around onnxruntime: validated by pydantic, no metrics, no log, no swap."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel

from loadtests.bench_model import IMAGE
from loadtests.peers.engine import open_session


class Rows(BaseModel):
    """A request."""

    x: list[list[float]]


mlp, wide, conv = open_session("mlp"), open_session("wide"), open_session("conv")
app = FastAPI()


@app.post("/predict")
async def predict(rows: Rows) -> dict[str, Any]:
    """Probabilities of the rows."""
    return {"y": mlp.run(None, {"x": np.asarray(rows.x, np.float32)})[0].tolist()}


@app.post("/wide")
async def predict_wide(rows: Rows) -> dict[str, Any]:
    """Probabilities of the rows, of the wide model."""
    return {"y": wide.run(None, {"x": np.asarray(rows.x, np.float32)})[0].tolist()}


@app.post("/image")
async def image(request: Request) -> dict[str, Any]:
    """Probabilities of an image, which is the body's float32."""
    x = np.frombuffer(await request.body(), np.float32).reshape(-1, *IMAGE)
    return {"y": conv.run(None, {"x": x})[0].tolist()}
