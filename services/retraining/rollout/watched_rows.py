"""Paired losses of a watched release: what its version answered, and what the former one answers on the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.rollout.stored_model import StoredModel
from shared.contracts.lake_schema import feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import fitting
from shared.models.answers import lake_columns, outcome_source, read_outcomes, read_scores
from shared.models.losses import Floats, row_losses
from shared.stores.lake import Lake
from shared.stores.tables.row_blocks import blocks_between


@dataclass(frozen=True)
class PairedLosses:
    """Losses per row of both versions, in order of event time (microseconds)."""

    times: npt.NDArray[np.int64]
    losses: Floats
    former_losses: Floats


def paired_losses(
    lake: Lake,
    former: StoredModel,
    served: LoopSpec,
    generation: int,
    start: datetime,
    end: datetime,
    max_rows: int,
) -> PairedLosses:
    """Losses on the generation's rows with event time in [start, end) and a fitting outcome; of more than `max_rows`, a part.

    Rows that the former version does not accept, because a feature is missing, are left out. `check_comparable` comes first.
    Memory holds one block of the lake and twice `max_rows`, however many rows the interval has.
    Raises UnservableModel if the former version fails on these rows, DependencyUnavailable.
    """
    prediction = served.prediction
    rows = _spread(_usable_blocks(lake, former, served, generation, start, end), max_rows)
    losses = row_losses(
        served.require_performance().metric.name,
        read_scores(prediction, rows),
        read_outcomes(prediction, rows["outcome"]),
    )
    return _without_unanswered(rows, losses, former, served)


def _usable_blocks(
    lake: Lake, former: StoredModel, served: LoopSpec, generation: int, start: datetime, end: datetime
) -> Iterator[pa.Table]:
    """The rows that both versions can be scored on, in order of event time, block by block; at least one block."""
    prediction, model, seen = served.prediction, served.model, lake.snapshot(served.model)
    predictions = (
        None if seen.predictions is None else lake.open_at(lake.predictions(model), seen.predictions)
    )
    outcomes = None if seen.outcomes is None else lake.open_at(lake.outcomes(model), seen.outcomes)
    for begin, until in blocks_between(predictions, outcomes, start, end):
        rows = lake.read_joined(
            model,
            begin,
            until,
            columns=list(dict.fromkeys(["event_time", "generation", "score", *lake_columns(prediction)])),
            features=former.spec.features,
            snapshot=seen,
            with_outcome=True,
            source=outcome_source(prediction),
            excluded_senders=served.excluded_senders,
        )
        usable = pc.and_(pc.equal(rows["generation"], generation), fitting(prediction, rows["outcome"]))
        for feature in former.spec.features:
            if not feature.nullable:
                usable = pc.and_(usable, pc.is_valid(rows[feature_column(feature.name)]))
        yield rows.filter(usable)


def _spread(blocks: Iterable[pa.Table], max_rows: int) -> pa.Table:
    """All rows of the blocks, or `max_rows` of them, evenly spread: the same ones whenever they are read again.

    While more than twice `max_rows` are held, every second one of them is dropped, and of the following rows as many.
    """
    kept: list[pa.Table] = []
    step, seen, held = 1, 0, 0
    for block in blocks:
        chosen = block.take(np.arange(-seen % step, block.num_rows, step))
        seen += block.num_rows
        # Copied: a slice would keep the memory of its block.
        kept.append(chosen.combine_chunks())
        held += chosen.num_rows
        while held > 2 * max_rows:
            rows = pa.concat_tables(kept)
            kept = [rows.take(np.arange(0, rows.num_rows, 2)).combine_chunks()]
            held, step = kept[0].num_rows, 2 * step
    rows = pa.concat_tables(kept)
    if rows.num_rows > max_rows:
        rows = rows.take(np.arange(max_rows) * rows.num_rows // max_rows)
    return rows.combine_chunks()


def _without_unanswered(
    rows: pa.Table, losses: Floats, former: StoredModel, served: LoopSpec
) -> PairedLosses:
    """The former version is not asked about rows that the released one did not answer with a number."""
    answered = np.isfinite(losses)
    rows, losses = rows.filter(pa.array(answered)), losses[answered]
    columns = {item.name: rows[feature_column(item.name)] for item in former.spec.features}
    former_losses = row_losses(
        served.require_performance().metric.name,
        former.model.score(pa.table(columns)),
        read_outcomes(former.spec.prediction, rows["outcome"]),
    )
    times = np.asarray(pc.cast(rows["event_time"], pa.int64()).to_numpy())
    return PairedLosses(times, losses, former_losses)
