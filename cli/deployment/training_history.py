"""Imports the rows that a version was trained on, so that later runs train on them too."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from cli.deployment.review.deployed_rows import has_outcome
from cli.history.connection import log_producer
from cli.history.content import CheckedFile
from cli.history.importer import Imported, import_rows
from cli.history.raw_rows import IDENTITY, READ_ROWS, RawRows
from cli.history.validation import HAS_OUTCOME, OBSERVED
from cli.output import Output
from cli.progress import bar
from shared.contracts.lake_schema import KEY, LABEL, SCORE, TIMESTAMP, VALUE, VALUES, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.errors import OperatorError
from shared.personal_data.protection import protected_rows
from shared.stores.lake import Lake

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings

_WAIT_S = 60.0


def import_or_warn(
    output: Output, settings: LocalStackSettings, loop: LoopSpec, rows: pa.Table
) -> int | None:
    """Import the training rows; how many were added. The version is released already, so a failure is a warning, and None."""
    try:
        with bar(output, f"importing {rows.num_rows} training rows"):
            done = import_training_rows(settings, loop, rows)
    except OperatorError as error:
        output.warning(
            f"the training rows were not imported: {error}; `homeostat import` with their file and --model {loop.model} does that"
        )
        return None
    output.note(f"imported {done.added} training rows")
    return done.added


def import_training_rows(settings: LocalStackSettings, loop: LoopSpec, rows: pa.Table) -> Imported:
    """Bring the training rows of a deployment into the lake, once by their content. Raises OperatorError."""
    with tempfile.TemporaryDirectory(prefix="homeostat-import-") as folder:
        file = checked_rows(loop, rows, Path(folder) / "rows.arrow")
        with log_producer(settings) as producer:
            return import_rows(Lake(settings.lake_url), producer, loop.model, file, wait_s=_WAIT_S)


def checked_rows(loop: LoopSpec, rows: pa.Table, into: Path) -> CheckedFile:
    """Rows that a deployment has checked, in the order of its training file, as `homeostat import` writes them."""
    table = _as_history(loop, rows)
    parts = [
        RawRows({}, range(start, min(start + READ_ROWS, len(table))))
        for start in range(0, len(table), READ_ROWS)
    ]
    return CheckedFile(into).read(parts, lambda part: (table.slice(part.lines[0], len(part.lines)), []))


def _as_history(loop: LoopSpec, rows: pa.Table) -> pa.Table:
    count = rows.num_rows
    unlogged = [feature for feature in loop.features if feature.is_unlogged]
    stored = protected_rows(rows, unlogged, str)
    columns = {"event_time": rows["event_time"]}
    columns |= {feature_column(feature.name): stored[feature.name] for feature in loop.features}
    columns |= {KEY: pa.nulls(count, pa.string()), SCORE: pa.nulls(count, pa.float64())}
    known = has_outcome(rows)
    observed = rows["event_time"]
    if loop.outcome is not None:
        observed = pc.add(observed, pa.scalar(loop.outcome.delay, pa.duration("us")))
    columns |= {HAS_OUTCOME: known, OBSERVED: observed.cast(TIMESTAMP)}
    if loop.prediction.has_loss:
        columns |= _outcomes(loop, rows["outcome"])
    return pa.table({**columns, IDENTITY: pa.nulls(count, pa.string())})


def _outcomes(loop: LoopSpec, outcome: pa.ChunkedArray) -> dict[str, pa.Array | pa.ChunkedArray]:
    if loop.prediction.kind == "classes":
        return {LABEL: outcome.cast(pa.string())}
    if loop.prediction.kind != "values":
        return {VALUE: outcome}
    named = [None if value is None else list(value.items()) for value in outcome.to_pylist()]
    return {VALUES: pa.array(named, pa.map_(pa.string(), pa.float64()))}
