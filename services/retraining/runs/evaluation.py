"""Measurements for the gate: losses and latencies of both models on the same holdout rows, on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from services.retraining.gate_checks.agreement import check_agreement
from services.retraining.gate_checks.calibration import check_calibration
from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.comparison import Comparison, Scored, timestamps_of
from services.retraining.gate_checks.fairness import check_fairness
from services.retraining.gate_checks.gain import total_metric
from services.retraining.gate_checks.perturbations import perturbed
from services.retraining.gate_checks.resources import Resources, check_resources
from services.retraining.gate_checks.robustness import Rise, check_robustness
from services.retraining.gate_checks.slices import check_slices
from services.retraining.isolated_models import OpenModel
from services.retraining.runs.gate import GateResult, Reported, evaluate_gate
from shared.contracts.lake_schema import reads_as
from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.answers import are_comparable, read_outcomes
from shared.models.losses import MetricName, Scores, macro_f1, row_losses
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
    attempt: int = 1,
    also: Sequence[Measured] = (),
) -> GateResult:
    """Measure both models and evaluate the gate. A challenger that violates the model contract fails the check `contract`.

    So does one that crashes or exceeds a limit of `open_model`. Such a champion raises UnservableModel.

    `reference`: the rows of the version, on which inference probes it, and whose categories are known to it; by default the
    holdout. `attempt`: see `evaluate_gate`. `also`: checks that need no model.

    A champion with features that the snapshot does not have or has as another type, or whose answers are of a kind that cannot
    be compared with the challenger's (see `answers.are_comparable`; the specification changed), is not compared: see
    gate.compared.
    """
    performance = spec.require_performance()
    metric = performance.metric.name
    with ExitStack() as models:
        try:
            new = models.enter_context(open_model(challenger, spec, "the model was evaluated"))
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
            and _takes_rows_of(champion_spec, spec)
            and are_comparable(champion_spec.prediction, spec.prediction)
        ):
            old = models.enter_context(open_model(champion, champion_spec, "the champion was evaluated"))
        challenged = _scored(metric, spec, scores, holdout)
        served = None
        if old is not None and champion_spec is not None:
            served = _scored(metric, champion_spec, old.score(holdout), holdout)
        latency = worst_latency(old, new, holdout, calls) if holdout.num_rows else Latency(0, None, 0.0)
        memory = new.memory_bytes, old.memory_bytes if old is not None else None
        measured: list[Measured | None] = []
        if served is not None and old is not None and champion_spec is not None and holdout.num_rows:
            compared = Comparison(spec, holdout, served, challenged, metric == "rmse")
            training = holdout if reference is None else reference
            measured = [
                check_slices(performance.gate.slices, compared),
                _robustness(compared, (old, champion_spec), (new, spec), training),
                check_calibration(performance.gate.calibration, compared),
                check_fairness(performance.gate.fairness, compared),
                check_agreement(performance.gate.minimum_agreement, compared),
            ]
    measured += check_resources(
        Resources(challenger.stat().st_size, memory[0]),
        Resources(champion.stat().st_size, memory[1])
        if champion is not None and served is not None
        else None,
        maximum_size_mib=performance.gate.maximum_size_mib,
        maximum_memory_mib=performance.gate.maximum_memory_mib,
    )
    return evaluate_gate(
        performance.gate,
        version=version,
        champion=champion_version,
        metric=metric,
        timestamps=timestamps_of(holdout),
        champion_losses=None if served is None else served.losses,
        challenger_losses=challenged.losses,
        latency_ratio=latency.ratio if latency.champion is not None else None,
        latency_rows=latency.rows,
        root=metric == "rmse",
        reported=Reported(
            None if served is None or champion_spec is None else _reported(champion_spec, served),
            _reported(spec, challenged),
        ),
        attempt=attempt,
        measured=[*(one for one in measured if one is not None), *also],
    )


def _scored(metric: MetricName, spec: LoopSpec, scores: Scores, rows: pa.Table) -> Scored:
    outcomes = read_outcomes(spec.prediction, rows["outcome"])
    return Scored(scores, outcomes, row_losses(metric, scores, outcomes))


def _robustness(
    compared: Comparison,
    champion: tuple[ModelRunner, LoopSpec],
    challenger: tuple[ModelRunner, LoopSpec],
    training: pa.Table,
) -> Measured | None:
    """Score both models on the perturbed rows. A champion that does not answer them is no measure."""
    performance = compared.spec.require_performance()
    settings, metric, root = performance.gate.robustness, performance.metric.name, compared.root

    def loss(model: ModelRunner, spec: LoopSpec, rows: pa.Table) -> float:
        return total_metric(_scored(metric, spec, model.score(rows), rows).losses, root)

    rises = {}
    for name, rows in perturbed(compared.rows, compared.spec.features, training, settings).items():
        try:
            before = loss(*champion, rows)
        except UnservableModel:
            continue
        try:
            rises[name] = Rise(before, loss(*challenger, rows))
        except UnservableModel as error:
            rises[name] = Rise(before, math.inf, str(error))
    return check_robustness(
        settings,
        champion_loss=total_metric(compared.champion.losses, root),
        challenger_loss=total_metric(compared.challenger.losses, root),
        perturbed=rises,
    )


def _takes_rows_of(champion: LoopSpec, spec: LoopSpec) -> bool:
    """Whether rows with the features of `spec` have all that the champion takes, of types that it reads."""
    types = {item.name: item.type for item in spec.features}
    return all(item.name in types and reads_as(types[item.name], item.type) for item in champion.features)


def _reported(spec: LoopSpec, model: Scored) -> dict[str, float]:
    """What people ask of classes and no interval covers: accuracy and macro-F1; nothing for other predictions."""
    scores, outcomes = model.scores, model.outcomes
    if spec.prediction.kind != "classes" or not len(scores):
        return {}
    errors = row_losses("error_rate", scores, outcomes)
    predicted = scores.argmax(axis=1).astype(np.float64)
    return {"accuracy": 1 - float(errors.mean()), "macro_f1": macro_f1(predicted, outcomes)}
