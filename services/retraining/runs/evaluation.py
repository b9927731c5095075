"""Measurements for the gate: losses and latencies of both models on the same holdout rows, on the CPU."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.isolated_models import OpenModel
from services.retraining.runs.gate import Check, GateResult, Reported, evaluate_gate
from shared.contracts.lake_schema import check_columns
from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.answers import are_comparable, read_outcomes
from shared.models.losses import Floats, Scores, macro_f1, row_losses
from shared.models.probe import probe
from shared.models.runners.model_runner import ModelRunner

_MANY_ROWS = 64


@dataclass(frozen=True)
class Latency:
    """Median seconds per call of this many rows; None of a champion that is not compared."""

    rows: int
    champion: float | None
    challenger: float

    @property
    def ratio(self) -> float:
        """The challenger's as a multiple of the champion's."""
        return self.challenger / max(self.champion or 0.0, 1e-9)


def latency_of(champion: ModelRunner | None, challenger: ModelRunner, rows: pa.Table, calls: int) -> Latency:
    """The models alternate, so that load on the machine affects both equally."""
    feeds = [(model, model.feeds(rows)) for model in (champion, challenger) if model is not None]
    seconds: list[list[float]] = [[] for _ in feeds]
    for _ in range(calls):
        for place, (model, feed) in enumerate(feeds):
            seconds[place].append(model.seconds(feed))
    medians = [float(np.median(times)) for times in seconds]
    return Latency(rows.num_rows, medians[0] if champion is not None else None, medians[-1])


def worst_latency(
    champion: ModelRunner | None, challenger: ModelRunner, rows: pa.Table, calls: int
) -> Latency:
    """Of one row and of many, the one with the larger ratio: a model can be quick for one row, and slow for each further one."""
    sizes = sorted({1, min(_MANY_ROWS, rows.num_rows)})
    return max(
        (latency_of(champion, challenger, rows.slice(0, size), calls) for size in sizes),
        key=lambda latency: latency.ratio if champion is not None else 0.0,
    )


def compare(
    spec: LoopSpec,
    holdout: pa.Table,
    *,
    version: str,
    challenger: Path,
    champion_version: str,
    champion: Path | None,
    champion_spec: LoopSpec | None,
    calls: int,
    open_model: OpenModel,
    reference: pa.Table | None = None,
) -> GateResult:
    """Measure both models and evaluate the gate. A challenger that violates the model contract fails the check `contract`.

    So does one that crashes or exceeds a limit of `open_model`. Such a champion raises UnservableModel.

    `reference`: the rows of the version, on which inference probes it; by default the holdout.

    A champion with features that the snapshot does not have, or whose answers are of a kind that cannot be compared with the
    challenger's (see `answers.are_comparable`; the specification changed), is not compared: see gate.compared.
    """
    performance = spec.require_performance()
    metric = performance.metric.name
    with ExitStack() as models:
        try:
            new = models.enter_context(open_model(challenger, spec, "the model was evaluated"))
            check_columns(
                spec.features, {item.name: holdout.schema.field(item.name).type for item in spec.features}
            )
            probe(new.outputs, spec.features, spec.prediction, holdout if reference is None else reference)
            scores = new.score(holdout)
        except UnservableModel as error:
            check = Check("contract", False, str(error))
            return GateResult(
                version, champion_version, holdout.num_rows, metric, None, None, None, None, (check,)
            )
        old = None
        if (
            champion is not None
            and champion_spec is not None
            and {item.name for item in champion_spec.features} <= set(holdout.column_names)
            and are_comparable(champion_spec.prediction, spec.prediction)
        ):
            old = models.enter_context(open_model(champion, champion_spec, "the champion was evaluated"))
        old_scores = None if old is None else old.score(holdout)
        latency = worst_latency(old, new, holdout, calls) if holdout.num_rows else Latency(0, None, 0.0)
    outcomes = read_outcomes(spec.prediction, holdout["outcome"])
    champion_losses = reported_of_champion = None
    if old_scores is not None and champion_spec is not None:
        known = read_outcomes(champion_spec.prediction, holdout["outcome"])
        champion_losses = row_losses(metric, old_scores, known)
        reported_of_champion = _reported(champion_spec, old_scores, known)
    return evaluate_gate(
        performance.gate,
        version=version,
        champion=champion_version,
        metric=metric,
        timestamps=np.asarray(pc.cast(holdout["event_time"], pa.int64()).to_numpy()),
        champion_losses=champion_losses,
        challenger_losses=row_losses(metric, scores, outcomes),
        latency_ratio=latency.ratio if latency.champion is not None else None,
        latency_rows=latency.rows,
        root=metric == "rmse",
        reported=Reported(reported_of_champion, _reported(spec, scores, outcomes)),
    )


def _reported(spec: LoopSpec, scores: Scores, outcomes: Floats) -> dict[str, float]:
    """What people ask of classes and no interval covers: accuracy and macro-F1; nothing for other predictions."""
    if spec.prediction.kind != "classes" or not len(scores):
        return {}
    errors = row_losses("error_rate", scores, outcomes)
    predicted = scores.argmax(axis=1).astype(np.float64)
    return {"accuracy": 1 - float(errors.mean()), "macro_f1": macro_f1(predicted, outcomes)}
