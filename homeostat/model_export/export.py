"""`homeostat.export`: from a fitted model and rows to a model project.

1. Infer the features from the rows, the prediction kind from the model.
2. Convert the model to ONNX, with one named input per feature and one score per row.
3. Compare the scores of both on the rows and beyond them; refuse an export that differs.
4. Write model.onnx, metrics.json, reference.parquet and, unless the project has one, loop.yaml.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from homeostat.model_export.checks.arguments import (
    EVENT_TIME,
    OUTCOME,
    check_arguments,
    check_fits_model,
    check_no_outcome,
    check_rows,
)
from homeostat.model_export.checks.closed_texts import closed_texts
from homeostat.model_export.checks.differing_columns import difference_hint
from homeostat.model_export.checks.library_errors import refuses_alone, refusing
from homeostat.model_export.checks.refused_numbers import refused_numbers
from homeostat.model_export.columns import (
    Column,
    boolean_notes,
    check_features,
    infer_columns,
    open_category,
    require_listed,
    to_table,
)
from homeostat.model_export.libraries.choice import source_model
from homeostat.model_export.libraries.onnx_model import OnnxSource
from homeostat.model_export.loop_yaml import write_loop_yaml
from homeostat.model_export.outcome_columns import outcome_columns
from homeostat.model_export.prediction_kind import check_outcomes, check_project
from homeostat.model_export.probes import UNSEEN_CATEGORIES
from homeostat.model_export.project_files import LOOP, event_times, model_name, reference_table, write_project
from homeostat.model_export.report import ExportReport, ExportWarning
from homeostat.model_export.source_model import Converted, SourceModel, file_of
from homeostat.model_export.tensors import to_frame
from homeostat.model_export.verification import (
    Verification,
    label_agreement,
    mean_loss,
    original_scores,
    precision_hint,
    verify,
)
from shared.contracts.feature import RESERVED_NAMES
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec, read_loop_spec
from shared.contracts.manifest import REFERENCE
from shared.contracts.prediction import ANSWER_NAMES
from shared.errors import ExportRefused, HomeostatError, UnservableModel

ALLOWED_SHARE = 0.001
TOLERANCE = 1e-4
_BY_HAND = (
    "check that the model is fitted; if it scores these rows by itself, write its ONNX file with the library's own converter "
    "and export that; the library's exception is above, as the cause"
)


@refuses_alone
def export(
    model: Any,
    rows: pd.DataFrame | pa.Table,
    project: str | Path,
    *,
    name: str = "",
    outcome: str | Sequence[str] = OUTCOME,
    event_time: str = EVENT_TIME,
    features: Sequence[str] | None = None,
    positive: Any = None,
    kind: str = "",
    output: str = "",
    labels: Sequence[Any] | None = None,
    runtime: str = "onnxruntime",
    outcome_delay: str = "1d",
    tolerance: float = TOLERANCE,
    allowed_share: float = ALLOWED_SHARE,
) -> ExportReport:
    """Write a model project for `homeostat deploy` from a fitted model and rows it can score.

    `model`: a fitted model, the path of one, or an MLflow URI. `rows`: the columns the model was fitted with; with the columns
    `outcome` and `event_time` they also become the version's reference. `outcome`: of a regression of several values the names
    of their columns, or a column of dictionaries. `name`: the model's name, by default the folder's.
    `features`: the columns in the order of the fit, for a model that does not know them. `positive`: the class whose probability
    is the score, by default the second. Of a torch module or ONNX model, if they cannot be inferred: `kind` (probability, value
    or embedding), `output` (a name) and `labels` (the classes in the order of the output). An existing loop.yaml is kept, and the
    model must fit it: its classes, and the positive one of two. `runtime`: 'torch' keeps a program of torch.export.

    A score differs if it is further than `tolerance` from the original's. Of a value that is relative to the range of the middle
    90 % of the scores. Of a probability it is absolute, and where all are rare also in log-odds, 100 times `tolerance`: 1 % of a
    rare one by default. Up to `allowed_share` of the rows may differ, with an ExportWarning that shows them.

    Raises ExportRefused, and writes nothing, if the model cannot be exported, an argument cannot be meant or more rows differ.
    Its message and `hint` say what to do; its cause is the exception of a library, if there was one.
    """
    folder = Path(project)
    given = to_frame(rows) if isinstance(rows, pa.Table) else rows
    given = check_rows(given)
    check_arguments(
        list(given.columns),
        name=name,
        outcome=outcome,
        event_time=event_time,
        features=features,
        kind=kind,
        labels=labels,
        runtime=runtime,
        tolerance=tolerance,
        allowed_share=allowed_share,
        outcome_delay=outcome_delay,
    )
    truth = outcome_columns(given, outcome)
    others = {*truth.sources, event_time, "prediction_id"}
    rest = [one for one in map(str, given) if one not in others]
    candidates = rest if features is None else list(features)
    options = {
        "positive": positive,
        "kind": kind,
        "output": output,
        "labels": labels,
        "names": truth.names,
        "runtime": runtime,
    }
    with refusing("reading the model", hint=_BY_HAND):
        source = source_model(model, given[candidates], truth.single, options=options)
        names = source.column_names(given, candidates)
    check_no_outcome(names, truth.sources)
    check_fits_model(
        source.library,
        source.kind.name,
        source.kind.positive,
        takes_options=isinstance(source, OnnxSource),
        given=options,
    )
    if truth.names != source.kind.names:
        raise ExportRefused(
            f"the outcomes are {', '.join(truth.names)}, and the model predicts one value per row",
            hint="several values are exported from scikit-learn, torch and ONNX models; else fit one model per value",
        )
    reserved = RESERVED_NAMES | ANSWER_NAMES.get(source.kind.name, frozenset())
    columns = infer_columns(
        given,
        names,
        reserved=reserved,
        texts=source.text_columns(names),
        takes_times=isinstance(source, OnnxSource),
    )
    frame = given[[column.source for column in columns]]
    if truth.single is not None:
        check_outcomes(source.kind, source.classes, truth.single)
    times = event_times(given, event_time)

    def inferred(shown: Sequence[Column], loss: float | None = None) -> str:
        return write_loop_yaml(
            model=name or model_name(folder),
            library=source.library,
            columns=shown,
            kind=source.kind,
            event_times=times,
            rows=len(given),
            outcome_delay=outcome_delay,
            loss=loss,
            output=source.output if isinstance(source, OnnxSource) and runtime == "torch" else "",
        )

    kept = (folder / LOOP).exists()
    loop = (
        read_loop_spec(folder)
        if kept
        else parse_loop_spec(inferred(columns), origin="the inferred loop.yaml")
    )
    if name and loop.model != name:
        raise ExportRefused(
            f"{folder / LOOP} is of model {loop.model}, and the given name is {name}",
            hint=f"leave the name out, or export to a folder of its own: the versions of {loop.model} belong to this one",
        )
    check_features(columns, loop)
    check_project(source.kind, loop.prediction)
    chosen, verified = _best_conversion(source, columns, frame, loop, tolerance, allowed_share)
    closed = closed_texts(source, columns)
    notes = [
        *source.warnings,
        *refused_numbers(source, columns, frame),
        *closed.values(),
        *_differences(source, verified, columns, frame, allowed_share),
    ]
    unseen = [one for one in verified.comparisons if one.name == UNSEEN_CATEGORIES]
    takes = {one.source for one in columns if any(done.compared(one.source) for done in unseen)} - set(closed)
    require_listed([column for column in columns if column.source not in takes])
    columns = tuple(open_category(column) if column.source in takes else column for column in columns)
    outcomes = None if truth.values is None else source.kind.outcomes(truth.values)
    conclusions = [*source.notes, *boolean_notes(columns, frame)]
    if source.kind.name == "classes" and outcomes is not None:
        agreement, few = label_agreement(verified.scores, outcomes)
        conclusions.append(agreement)
        if few:
            notes.append(
                f"{agreement}: check the order of the labels, and name them with labels= if it is different"
            )
    reference = None
    if outcomes is None and source.kind.metric:
        removed = f", and the earlier {REFERENCE} was removed" if (folder / REFERENCE).exists() else ""
        notes.append(
            f"no {REFERENCE} was written{removed}: the rows have no column {outcome!r}; name it with outcome="
        )
    else:
        if times is None:
            times = pd.Series(pd.Timestamp.now(tz="UTC"), index=given.index)
            notes.append(f"the rows have no column {event_time!r}: {REFERENCE} has the time of this export")
        reference = reference_table(
            to_table(columns, frame),
            times,
            None if outcomes is None else source.kind.outcome_column(outcomes),
        )
    metrics = {} if outcomes is None else mean_loss(loop, verified.scores, outcomes)
    files = write_project(
        folder,
        loop_yaml=None if kept else inferred(columns, metrics.get(source.kind.metric)),
        model=file_of(chosen),
        metrics=metrics,
        reference=reference,
    )
    for note in notes:
        warnings.warn(note, ExportWarning, stacklevel=3)
    return ExportReport(
        model=loop.model,
        project=folder,
        library=source.library,
        kind=source.kind,
        columns=columns,
        comparisons=verified.comparisons,
        files=files,
        warnings=tuple(notes),
        notes=tuple(conclusions),
    )


def _best_conversion(
    source: SourceModel,
    columns: Sequence[Column],
    frame: pd.DataFrame,
    loop: LoopSpec,
    tolerance: float,
    share: float,
) -> tuple[Converted, Verification]:
    """The first conversion without differences that count; without one, the conversion with the fewest."""
    original = original_scores(source, frame)
    found: list[tuple[Converted, Verification]] = []
    problem: HomeostatError | None = None
    conversions = source.conversions(columns, frame)
    while True:
        try:
            with refusing(f"the conversion of the {source.library} model", hint=_BY_HAND):
                model = next(conversions, None)
            if model is None:
                break
            verified = verify(source, model, columns, frame, loop, original=original, tolerance=tolerance)
        except UnservableModel as error:
            problem = problem or error
            continue
        except ExportRefused as error:  # the rest of the conversions cannot be made
            problem = problem or error
            break
        found.append((model, verified))
        if not verified.differing(share):
            break
    if not found:
        raise problem or ExportRefused("the model has no conversion to ONNX")
    return min(found, key=lambda one: one[1].differing(share))


def _differences(
    source: SourceModel,
    verified: Verification,
    columns: Sequence[Column],
    frame: pd.DataFrame,
    share: float,
) -> list[str]:
    """What to warn of. Raises ExportRefused if more rows differ than are allowed."""
    refused = [one for one in verified.comparisons if not one.accepted(share)]
    if refused:
        raise ExportRefused(
            "the exported model returns other scores than the original; nothing was written\n"
            + "\n".join(map(str, refused)),
            hint=precision_hint(columns, frame)
            or difference_hint(refused, columns, frame, original=source.score, exported=verified.score),
        )
    notes = [
        str(one) for one in verified.comparisons if (one.differing and not one.advice) or not one.is_complete
    ]
    hint = precision_hint(columns, frame)
    return [*notes, hint] if hint else notes
