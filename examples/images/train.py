"""The training command: reads the rows the loop hands over, writes `model.onnx` and `metrics.json`.

    HOMEOSTAT_TRAIN=train.parquet HOMEOSTAT_OUT=out python train.py --size small

Columns: `image` (lists of 3*64*64 numbers), `event_time` and `outcome` (a label). Trains on a GPU if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from network import SIZES, ResidualNetwork, write_onnx
from torch.nn.functional import cross_entropy

LABELS = ("good", "scratch", "dent", "open")  # in the order of loop.yaml
SHAPE = (3, 64, 64)
SEED = 5
EPOCHS = {"small": 12, "resnet50": 30}
BATCH = 64
THREADS = 1  # on a small machine, threads that wait for one another take the cores that serve
RATE = 4e-3


def read(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [N, 3, 64, 64] and places of their labels [N], in time order."""
    table = pq.read_table(path, columns=["image", "event_time", "outcome"]).sort_by("event_time")
    flat = table["image"].combine_chunks().flatten().to_numpy()
    places = [LABELS.index(label) for label in table["outcome"].to_pylist()]
    return torch.from_numpy(flat.astype(np.float32).reshape(-1, *SHAPE)), torch.tensor(places)


def train(images: torch.Tensor, labels: torch.Tensor, size: str) -> ResidualNetwork:
    """Train on all rows, each seen once an epoch, mirrored and turned by a quarter at random."""
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = ResidualNetwork(SIZES[size]).to(device)
    steps = EPOCHS[size] * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    network.train()
    for _ in range(EPOCHS[size]):
        for picked in torch.split(torch.randperm(len(images)), BATCH):
            batch = images[picked].to(device)
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            batch = batch.rot90(int(torch.randint(4, ())), (2, 3))
            loss = cross_entropy(network.logits(batch), labels[picked].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.cpu().eval()


def main() -> None:
    """Train, write the model, and measure it on the latest tenth of its own rows."""
    parser = argparse.ArgumentParser(description="Train the classifier of pictures.")
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    size = parser.parse_args().size
    started = time.perf_counter()
    images, labels = read(Path(os.environ["HOMEOSTAT_TRAIN"]))
    network = train(images, labels, size)
    out = Path(os.environ["HOMEOSTAT_OUT"])
    write_onnx(network, out / "model.onnx", SHAPE)
    with torch.no_grad():
        loss = cross_entropy(
            network.logits(images[-max(1, len(images) // 10) :]), labels[-max(1, len(images) // 10) :]
        )
    metrics = {
        "log_loss": float(loss),
        "rows": len(images),
        "seconds": round(time.perf_counter() - started, 2),
    }
    (out / "metrics.json").write_text(json.dumps(metrics) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
