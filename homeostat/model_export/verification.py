"""Scores rows with the original and with the exported model and compares: the given rows, then rows unlike them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from homeostat.model_export.checks.library_errors import first_line
from homeostat.model_export.columns import Column, to_table
from homeostat.model_export.comparison import Comparison, Scale, compare, middle_width, scale_of
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.probabilities import are_probabilities
from homeostat.model_export.probes import Probe, make_probes
from homeostat.model_export.source_model import Converted, SourceModel, file_of
from homeostat.model_export.text.text_probes import DOTTED_I, DOTTED_I_ADVICE
from shared.contracts.loop_spec import LoopSpec
from shared.errors import ExportRefused, UnservableModel
from shared.models.losses import in_unit, row_losses
from shared.models.probe import probe as probe_model
from shared.models.runners.loading import load_model
from shared.models.runners.model_runner import ModelRunner

# A column whose values float32 moves by more than this share of their spread is not precise enough.
_MAX_ROUNDING = 1e-3
_MAX_NAMED = 20


@dataclass(frozen=True)
class Verification:
    """The comparisons of one conversion, the given rows first, its scores of the given rows, and the scores it has of others."""

    comparisons: tuple[Comparison, ...]
    scores: Floats
    score: Callable[[pd.DataFrame], Floats]

    def differing(self, share: float) -> float:
        """Zero if every comparison is accepted; else the sum of the shares of rows that differ."""
        bad = [one for one in self.comparisons if not one.accepted(share)]
        return sum(one.differing / one.rows for one in bad)


def verify(
    source: SourceModel,
    model: Converted,
    columns: Sequence[Column],
    frame: pd.DataFrame,
    loop: LoopSpec,
    *,
    original: Floats,
    tolerance: float,
) -> Verification:
    """Compare a conversion with the original. Raises UnservableModel if it is against the model contract."""
    with tempfile.TemporaryDirectory(prefix="homeostat-export-") as folder:
        name, content = file_of(model)
        path = Path(folder) / name
        path.write_bytes(content)
        served = load_model(path, loop)
    scale = scale_of(original)
    scores = served.score(to_table(columns, frame))
    found = [compare("the rows", source.kind, original, scores, frame, tolerance=tolerance, scale=scale)]
    found += [
        replace(_probe(source, served, columns, probe, tolerance=tolerance, scale=scale), advice=probe.advice)
        for probe in make_probes(columns, frame)
    ]
    # What deployment requires is required here: a score that depends on other rows is equal to the original's.
    # An unknown category is no matter of it: a set of its own compares them, and without it they are refused.
    closed = [feature.model_copy(update={"unknown": "refuse"}) for feature in loop.features]
    probe_model(served.outputs, closed, loop.prediction, to_table(columns, frame))
    return Verification(
        tuple(found), scores, lambda rows: np.asarray(served.run(served.feeds(to_table(columns, rows))))
    )


def original_scores(source: SourceModel, frame: pd.DataFrame) -> Floats:
    """The original's scores of the given rows. Raises ExportRefused if it fails on them or returns what is not finite."""
    try:
        scores = source.score(frame)
    except ExportRefused:
        raise
    except Exception as error:  # whatever the library raises
        raise ExportRefused(
            f"the original model fails on the rows: {first_line(error)}",
            hint=f"pass rows that the model can score; it was given the columns {_listed(frame)}",
        ) from error
    finite = np.isfinite(scores).reshape(len(scores), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ExportRefused(
            f"the original model returns {scores[row]} for row {row}",
            hint="pass rows with finite scores only",
        )
    return scores


def _listed(frame: pd.DataFrame) -> str:
    """Names of columns with their types, the first ones of many."""
    named = [f"{name} ({kind})" for name, kind in frame.dtypes.items()]
    more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    return ", ".join(named[:_MAX_NAMED]) + more


def precision_hint(columns: Sequence[Column], frame: pd.DataFrame) -> str:
    """Names the columns whose values are lost in float32, the precision of requests, or in lower case; empty if none are."""
    for column in columns:
        if column.feature.type == "text" and frame[column.source].astype(str).str.contains(DOTTED_I).any():
            return f"the column {column.source!r} has the character {DOTTED_I}: {DOTTED_I_ADVICE}"
    lost = []
    for column in columns:
        if column.feature.type != "number":
            continue
        values = frame[column.source].dropna().to_numpy(dtype=np.float64)
        rounding = np.abs(values - values.astype(np.float32).astype(np.float64))
        # Not of the few outliers, which would hide the others or be named for them; a constant loses nothing.
        if np.ptp(values) > 0 and np.quantile(rounding, 0.95) > _MAX_ROUNDING * middle_width(values):
            lost.append(column.source)
    if not lost:
        return ""
    return (
        f"features are served as float32, in which different values of {', '.join(lost)} are the same number: "
        "subtract an offset from the column and divide by its spread before fitting"
    )


def label_agreement(scores: Floats, outcomes: Floats) -> tuple[str, bool]:
    """How many rows have their outcome as the most probable label, and whether the most frequent outcome has more rows.

    They are few if the labels are in another order than the output.
    """
    known = outcomes[np.isfinite(outcomes)].astype(np.int64)
    right = int((scores[np.isfinite(outcomes)].argmax(axis=1) == known).sum())
    few = bool(len(known)) and right < int(np.bincount(known).max())
    return f"the most probable label equals the outcome in {right} of {len(known)} rows", few


def mean_loss(loop: LoopSpec, scores: Floats, outcomes: Floats) -> dict[str, float]:
    """The loop's metric on the rows with an outcome; empty without outcomes."""
    known = np.isfinite(outcomes) if outcomes.ndim == 1 else np.isfinite(outcomes).all(axis=1)
    if not known.any():
        return {}
    metric = loop.require_performance().metric.name
    return {metric: in_unit(metric, float(row_losses(metric, scores[known], outcomes[known]).mean()))}


def _probe(
    source: SourceModel,
    served: ModelRunner,
    columns: Sequence[Column],
    probe: Probe,
    *,
    tolerance: float,
    scale: Scale,
) -> Comparison:
    original, refused = _original_alone(source, probe)
    if original is None:
        reasons = "; ".join(f"{column}: {reason}" for column, reason in refused)
        return Comparison(
            probe.name, len(probe.rows), problem=f"not compared: the original model refuses them: {reasons}"
        )
    probe = probe.of([one for one in probe.columns if one not in dict(refused)])
    _require_probabilities(source, probe, original)
    rows = len(probe.rows)
    try:
        exported = np.asarray(served.run(served.feeds(to_table(columns, probe.rows))), dtype=np.float64)
    except UnservableModel as error:
        return Comparison(
            probe.name,
            rows,
            differing=rows,
            labels=rows,
            largest=np.inf,
            table=error.message,
            refused=refused,
        )
    found = compare(
        probe.name,
        source.kind,
        original,
        exported,
        probe.rows,
        tolerance=tolerance,
        scale=scale,
        changed=probe.changed,
    )
    return replace(found, refused=refused)


def _require_probabilities(source: SourceModel, probe: Probe, original: Floats) -> None:
    """Raises ExportRefused if scores that are probabilities of the given rows are none of the rows of a probe."""
    if source.kind.name not in ("probability", "classes"):
        return
    known = np.where(np.isfinite(original), original, 0.5).reshape(len(original), -1)
    if are_probabilities(known):
        return
    row = int(np.abs(known - 0.5).max(axis=1).argmax())
    score = known[row][np.abs(known[row] - 0.5).argmax()]
    raise ExportRefused(
        f"the model's scores are between 0 and 1 on the rows only: for {probe.name} it returns {score:.3g} "
        f"where {probe.changed[row]} is changed",
        hint="if they are probabilities, end the model with a sigmoid, of several classes with a softmax; "
        "if they are values, pass kind='value'",
    )


def _original_alone(source: SourceModel, probe: Probe) -> tuple[Floats | None, tuple[tuple[str, str], ...]]:
    """The original's scores of the rows that it takes, and the columns that it refuses a value of, with the reason.

    An error names no row, so after one each column is scored by itself. The scores are None if it refuses every column.
    """
    try:
        return _quietly(source, probe), ()
    except Exception as error:  # whatever the library raises for values it refuses
        if len(probe.columns) == 1:
            return None, ((probe.columns[0], first_line(error)),)
    scores: list[Floats] = []
    refused: list[tuple[str, str]] = []
    for column in probe.columns:
        # A probe holds the rows of a column side by side, so these scores are in its order.
        found, reason = _original_alone(source, probe.of([column]))
        refused += reason
        scores += [] if found is None else [found]
    return (np.concatenate(scores) if scores else None), tuple(refused)


def _quietly(source: SourceModel, probe: Probe) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return source.score(probe.rows)
