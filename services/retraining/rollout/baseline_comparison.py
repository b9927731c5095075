"""What leaving the first version alone would have cost: its loss and the served one's, on the same rows."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MODEL, short
from shared.contracts.verdict import Verdict
from shared.errors import UnservableModel
from shared.models.keys import Keys
from shared.models.losses import MetricName, row_losses
from shared.models.onnx_runner import OnnxModel
from shared.models.packaging import verify_version
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class Comparison:
    """Losses of the first released version and of what was served, in `metric`, on the same `rows` of a judged window."""

    model: str
    baseline_loss: float
    served_loss: float
    metric: str
    window_start: datetime
    window_end: datetime
    rows: int

    def to_json(self) -> dict[str, Any]:
        """For `/status`."""
        return {
            "baseline_loss": self.baseline_loss,
            "served_loss": self.served_loss,
            "metric": self.metric,
            "window": {"start": self.window_start, "end": self.window_end},
            "rows": self.rows,
        }


@dataclass(frozen=True)
class FirstVersion:
    """The first version a model was released with, ready to score."""

    version: str
    spec: LoopSpec
    model: OnnxModel


def first_version(store: ModelStore, keys: Keys, model: str) -> FirstVersion:
    """Fetch it from the store and load it, every byte verified before.

    Raises NotFound, IntegrityError, UnservableModel, DependencyUnavailable.
    """
    version = store.release(model, 1).version
    with tempfile.TemporaryDirectory(prefix="homeostat-") as place:
        folder = Path(place) / "version"
        store.get_version(model, version, folder)
        manifest = verify_version(folder, version=version, verifying_key=keys.verifying)
        return FirstVersion(version, manifest.loop, OnnxModel(folder / MODEL, manifest.loop))


def compare_with_first(
    lake: Lake, first: FirstVersion, served: LoopSpec, verdict: Verdict, *, max_rows: int
) -> Comparison | None:
    """Both losses on the newest rows with outcomes of the verdict's window, `max_rows` at most; None where there are none.

    `served` is the specification of the version the verdict is about. Raises UnservableModel where the first version takes what
    these rows do not have.
    """
    lacking = {item.name for item in first.spec.features} - {item.name for item in served.features}
    if lacking:
        raise UnservableModel(
            f"version {short(first.version)} takes {min(lacking)}, which the loop no longer has",
            hint="nothing to do: what it would have answered cannot be known",
        )
    rows = _newest_rows(lake, first, verdict, max_rows)
    if rows.num_rows == 0:
        return None
    columns = {item.name: rows[feature_column(item.name)] for item in first.spec.features}
    for feature in first.spec.features:
        if not feature.nullable and columns[feature.name].null_count:
            raise UnservableModel(
                f"feature {feature.name} is missing in rows, which version {short(first.version)} would refuse"
            )
    outcomes = np.asarray(rows["outcome"].to_numpy(), dtype=np.float64)
    metric = served.metric.name
    return Comparison(
        verdict.model,
        _mean(metric, first.model.score(pa.table(columns)), outcomes),
        _mean(metric, np.asarray(rows["score"].to_numpy(), dtype=np.float64), outcomes),
        metric,
        verdict.window_start,
        verdict.window_end,
        rows.num_rows,
    )


def _newest_rows(lake: Lake, first: FirstVersion, verdict: Verdict, max_rows: int) -> pa.Table:
    """Few columns first, to find where the newest rows begin: a window may hold millions."""
    kept = _known(lake, verdict, verdict.window_start, ())
    start = verdict.window_start
    if kept.num_rows > max_rows:
        start = kept["event_time"][kept.num_rows - max_rows].as_py()
    features = [feature_column(feature.name) for feature in first.spec.features]
    rows = _known(lake, verdict, start, features)
    rows = rows.slice(max(0, rows.num_rows - max_rows))
    return rows.combine_chunks()


def _known(lake: Lake, verdict: Verdict, start: datetime, features: Sequence[str]) -> pa.Table:
    columns = ["event_time", "generation", "score", *features]
    rows = lake.read_joined(verdict.model, start, verdict.window_end, columns=columns, with_outcome=True)
    sound = pc.and_(pc.is_finite(rows["outcome"]), pc.fill_null(pc.is_finite(rows["score"]), False))
    return rows.filter(pc.and_(sound, pc.equal(rows["generation"], verdict.generation)))


def _mean(metric: MetricName, scores: npt.NDArray[np.float64], outcomes: npt.NDArray[np.float64]) -> float:
    mean = float(row_losses(metric, scores, outcomes).mean())
    return math.sqrt(mean) if metric == "rmse" else mean
