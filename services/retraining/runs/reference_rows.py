"""The reference rows of a version, scored by the version: drift compares windows with them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.retraining.isolated_models import OpenModel
from services.retraining.runs.workspace import RunFolder
from shared.contracts.loop_spec import LoopSpec
from shared.files import atomic_path
from shared.models.answers import answer_columns


def write_reference(
    folder: RunFolder, model: Path, spec: LoopSpec, *, max_rows: int, open_model: OpenModel
) -> None:
    """Write reference.parquet: the holdout and, before it, the latest training rows, in time order, with the answers.

    The holdout comes last and is complete if it fits: the version was not trained on it, so its losses are unbiased.
    Raises UnservableModel.
    """
    holdout = pq.read_table(folder.holdout)
    holdout = holdout.slice(max(0, holdout.num_rows - max_rows))
    train = pq.read_table(folder.train)
    tail = train.slice(max(0, train.num_rows - (max_rows - holdout.num_rows)))
    rows = pa.concat_tables([tail, holdout]).combine_chunks()
    with open_model(model, spec, "the trained model was scored for its reference rows") as opened:
        scores = opened.score(rows)
    for name, column in answer_columns(spec.prediction, scores).items():
        rows = rows.append_column(name, column)
    with atomic_path(folder.reference) as temporary:
        pq.write_table(rows, temporary, compression="zstd", compression_level=1)
