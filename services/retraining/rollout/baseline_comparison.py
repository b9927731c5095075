"""The baseline comparison: losses of the first released version and the served version on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.isolated_models import OpenModel
from services.retraining.rollout.stored_model import StoredModel, check_comparable, stored_model
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.contracts.outcome import fitting
from shared.contracts.verdict import Verdict
from shared.errors import UnservableModel
from shared.models.answers import lake_columns, outcome_source, read_outcomes, read_scores
from shared.models.losses import MetricName, Scores, in_unit, row_losses
from shared.models.signed_versions.installation_keys import Keys
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class BaselineComparison:
    """Losses of the first released version and of the served one, in `metric`, on the same `rows` of an evaluated window."""

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


@contextmanager
def first_version(store: ModelStore, keys: Keys, model: str, open_model: OpenModel) -> Iterator[StoredModel]:
    """The first released version, opened. Raises NotFound, IntegrityError, UnservableModel, DependencyUnavailable."""
    version = store.release(model, 1).version
    doing = "the first version was compared with the served one"
    with stored_model(store, keys, model, version, open_model, doing) as opened:
        yield opened


def compare_with_first(
    lake: Lake, first: StoredModel, served: LoopSpec, verdict: Verdict, *, max_rows: int
) -> BaselineComparison | None:
    """Both losses on at most `max_rows` newest rows with outcomes in the verdict's window; None if there are none.

    `served` is the specification of the verdict's version. Raises UnservableModel if these rows lack a feature of the first
    version.
    """
    check_comparable(first.version, first.spec, served)
    rows = _newest_rows(lake, first, served, verdict, max_rows)
    if rows.num_rows == 0:
        return None
    columns = {item.name: rows[feature_column(item.name)] for item in first.spec.features}
    for feature in first.spec.features:
        if not feature.nullable and columns[feature.name].null_count:
            raise UnservableModel(
                f"feature {feature.name} has missing values, which version {short(first.version)} does not accept"
            )
    metric = served.require_performance().metric.name
    outcomes = read_outcomes(served.prediction, rows["outcome"])
    outcomes_of_first = read_outcomes(first.spec.prediction, rows["outcome"])
    return BaselineComparison(
        verdict.model,
        _mean(metric, first.model.score(pa.table(columns)), outcomes_of_first),
        _mean(metric, read_scores(served.prediction, rows), outcomes),
        metric,
        verdict.window_start,
        verdict.window_end,
        rows.num_rows,
    )


def _newest_rows(
    lake: Lake, first: StoredModel, served: LoopSpec, verdict: Verdict, max_rows: int
) -> pa.Table:
    """Read few columns first to find where the newest rows begin: a window may have millions of rows."""
    prediction = served.prediction
    scored = _with_outcomes(lake, verdict, verdict.window_start, served)
    start = verdict.window_start
    if scored.num_rows > max_rows:
        start = scored["event_time"][scored.num_rows - max_rows].as_py()
    rows = _with_outcomes(
        lake, verdict, start, served, more=lake_columns(prediction), features=first.spec.features
    )
    rows = rows.slice(max(0, rows.num_rows - max_rows))
    return rows.combine_chunks()


def _with_outcomes(
    lake: Lake,
    verdict: Verdict,
    start: datetime,
    served: LoopSpec,
    *,
    more: Sequence[str] = (),
    features: Sequence[Feature] = (),
) -> pa.Table:
    """Answered rows of the verdict's generation whose outcome is known: a label, a number, or all numbers of `values`."""
    prediction = served.prediction
    columns = list(dict.fromkeys(["event_time", "generation", "score", *more]))
    rows = lake.read_joined(
        verdict.model,
        start,
        verdict.window_end,
        columns=columns,
        features=features,
        with_outcome=True,
        source=outcome_source(prediction),
        excluded_senders=served.excluded_senders,
    )
    if prediction.names:
        valid = fitting(prediction, rows["outcome"])
    else:
        known = pc.is_valid(rows["outcome"]) if prediction.labels else pc.is_finite(rows["outcome"])
        valid = pc.and_(known, pc.fill_null(pc.is_finite(rows["score"]), False))
    return rows.filter(pc.and_(valid, pc.equal(rows["generation"], verdict.generation)))


def _mean(metric: MetricName, scores: Scores, outcomes: npt.NDArray[np.float64]) -> float:
    return in_unit(metric, float(row_losses(metric, scores, outcomes).mean()))
