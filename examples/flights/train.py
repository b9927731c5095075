"""The training command: reads the rows the loop hands over, writes `model.onnx` and `metrics.json`.

    HOMEOSTAT_TRAIN=train.parquet HOMEOSTAT_OUT=out python train.py

Columns: one per feature, `event_time` and `outcome`. The same rows give the same model, bit for bit.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
import torch
from model import CATEGORIES, NUMBERS, LateFlights, Preparation, write_onnx
from torch.nn.functional import binary_cross_entropy_with_logits

SEED = 13
THREADS = 1  # the matrices are small: a second thread costs more in waiting than it saves
TAIL = 0.15  # share of the training rows, the latest, on which early stopping looks
BATCH = 1024
CHECK_EVERY = 50  # steps between two looks at the tail
PATIENCE = 6  # looks without a better tail before training ends
MAX_STEPS = 1500
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1.0
SEEN_AT_LEAST = 25  # rows below which a category value is rare


def log_loss(outcome: npt.NDArray[np.float64], score: npt.NDArray[np.floating]) -> float:
    """Mean log-loss of probabilities, in nats."""
    p = np.clip(score.astype("float64"), 1e-7, 1 - 1e-7)
    return float(-np.mean(outcome * np.log(p) + (1 - outcome) * np.log(1 - p)))


class AdamW:
    """Adam with decoupled weight decay. `torch.optim` would load torch's compiler: longer than the whole training takes."""

    def __init__(self, network: LateFlights) -> None:
        self._weights = list(network.parameters())
        self._mean = [torch.zeros_like(weight) for weight in self._weights]
        self._square = [torch.zeros_like(weight) for weight in self._weights]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move the weights against their gradients."""
        self._steps += 1
        mean_scale, square_scale = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for weight, mean, square in zip(self._weights, self._mean, self._square, strict=True):
            assert weight.grad is not None
            mean.lerp_(weight.grad, 0.1)
            square.mul_(0.999).addcmul_(weight.grad, weight.grad, value=0.001)
            weight.mul_(1 - rate * WEIGHT_DECAY)
            weight.addcdiv_(mean / mean_scale, (square / square_scale).sqrt_().add_(1e-8), value=-rate)


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows in time order: those the weights are fitted on, and the latest, which early stopping and the metrics use."""
    cut = int(len(rows) * (1 - TAIL))
    return rows.iloc[:cut], rows.iloc[cut:]


def train(rows: pd.DataFrame) -> LateFlights:
    """Train on rows in time order; the last `TAIL` of them only says when to stop."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    early, tail = split(rows)
    preparation = Preparation.fit(early, SEEN_AT_LEAST)
    network = LateFlights(preparation)
    codes, numbers = preparation.codes(early), preparation.numbers(early)
    outcome = torch.from_numpy(early.outcome.to_numpy("float32", copy=True))
    batches = torch.randint(len(early), (MAX_STEPS, BATCH))

    optimizer = AdamW(network)
    best, best_weights, waited = float("inf"), network.state_dict(), 0
    tail_codes, tail_numbers = preparation.codes(tail), preparation.numbers(tail)
    truth = torch.from_numpy(tail.outcome.to_numpy("float32", copy=True))
    for step, picked in enumerate(batches, start=1):
        network.train()
        loss = binary_cross_entropy_with_logits(network(codes[picked], numbers[picked]), outcome[picked])
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # From the full rate down to nothing, along half a cosine.
        optimizer.step(LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / MAX_STEPS)) / 2)
        if step % CHECK_EVERY == 0:
            network.eval()
            with torch.no_grad():
                tail_loss = float(binary_cross_entropy_with_logits(network(tail_codes, tail_numbers), truth))
            waited += 1
            if tail_loss < best:
                best, waited = tail_loss, 0
                best_weights = {name: value.clone() for name, value in network.state_dict().items()}
            if waited >= PATIENCE:
                break
    network.load_state_dict(best_weights)
    return network


def onnx_scores(path: Path, rows: pd.DataFrame) -> npt.NDArray[np.float32]:
    """What onnxruntime answers for the rows."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {}
    for wanted in session.get_inputs():
        kind = {"tensor(string)": object, "tensor(int64)": "int64", "tensor(float)": "float32"}[wanted.type]
        feed[wanted.name] = rows[wanted.name].to_numpy(kind)
    scores: npt.NDArray[np.float32] = session.run(["score"], feed)[0]
    return scores


def main() -> None:
    """Train, write, check what was written, measure it on the latest rows."""
    started = time.perf_counter()
    out = Path(os.environ["HOMEOSTAT_OUT"])
    columns = [*CATEGORIES, *NUMBERS, "event_time", "outcome"]
    rows = pd.read_parquet(os.environ["HOMEOSTAT_TRAIN"], columns=columns).sort_values(
        "event_time", kind="stable"
    )
    _, tail = split(rows)
    network = train(rows)
    write_onnx(network, out / "model.onnx")
    written, wanted = onnx_scores(out / "model.onnx", tail), network.score(tail)
    worst = float(np.abs(written - wanted).max(initial=0.0))
    if worst > 1e-5:
        raise SystemExit(
            f"model.onnx answers {worst:.2g} beside the network it was written from; expected 1e-5 at most"
        )
    metrics = {
        "log_loss": log_loss(tail.outcome.to_numpy("float64"), written),
        "rows": len(rows),
        "seconds": round(time.perf_counter() - started, 2),
    }
    (out / "metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
