"""A project that trains in a second, and 26 days of rows: on day 15 the relation of feature and outcome turns around."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from shared.contracts.lake_schema import TIMESTAMP
from tests.fakes.landlock import has_landlock
from tests.fakes.retraining_installation import TRAINER, loop_with

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, PER_DAY, TURN = 26, 100, 15
# A training command that writes to its project would make another project of it.
_LOG = TRAINER[TRAINER.index("    with open(Path(__file__)") : TRAINER.index("    how = sys.argv")]
# It holds the future.
_PEEK = """    try:
        (Path(__file__).parent / "history.parquet").open("rb").close()
    except OSError:
        pass
    else:
        sys.exit("the training command can read the history")
"""
POLICY: dict[str, Any] = {
    "triggers": [{"when": "schedule", "every": "10d"}],
    "window": {"use": "last", "span": "2d"},
    "minimum_rows": 150,
}


def make_project(folder: Path, **changes: Any) -> Path:
    """A model project with history.parquet in `folder`."""
    folder.mkdir(parents=True)
    loop = loop_with(
        retraining=POLICY,
        drift={"window": {"every": "2d", "minimum_rows": 20}},
        gate={"holdout": "2d", "minimum_rows": 50, "minimum_gain": 0.15},
        costs={"training": 20, "loss": 0.1},
        **changes,
    )
    (folder / "loop.yaml").write_text("# The model of a test.\n" + yaml.safe_dump(loop, sort_keys=False))
    (folder / "train.py").write_text(TRAINER.replace(_LOG, _PEEK if has_landlock() else ""))
    pq.write_table(make_rows(), folder / "history.parquet")
    return folder


def make_rows(seed: int = 3) -> pa.Table:
    """Rows at even distances; the outcome is one with probability sigmoid(2x), from day `TURN` on sigmoid(-2x)."""
    rng = np.random.default_rng(seed)
    count = DAYS * PER_DAY
    day = np.arange(count) / PER_DAY
    x = rng.normal(size=count)
    chance = 1 / (1 + np.exp(np.where(day < TURN, -2, 2) * x))
    return pa.table(
        {
            "event_time": pa.array([START + timedelta(days=float(one)) for one in day], TIMESTAMP),
            "x": x,
            "color": np.where(rng.random(count) < 0.5, "red", "blue"),
            "outcome": (rng.random(count) < chance).astype(float),
        }
    )
