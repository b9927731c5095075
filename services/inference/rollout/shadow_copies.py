"""Requests of a live version as a shadow gets them: which of them, put together to calls, in the form that it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call_group import CallGroup
from services.inference.rollout.share import is_in_share

Array = npt.NDArray[Any]

_MAX_ROWS_PER_CALL = 256
_CELL_BYTES = 8


@dataclass(frozen=True, slots=True)
class Copy:
    """Requests of a live version, how it answered them, and the shadow that answers them too."""

    shadow: Servable
    live: Servable
    batches: Sequence[Batch]
    output: Array
    requests: int
    size: int  # bytes, approximately

    @property
    def rows(self) -> int:
        return len(self.output)


def copies_of(group: CallGroup, shadow: Servable) -> Iterator[Copy]:
    """All requests of the group as one copy, or a copy of each that is in the shadow's share."""
    live, release = group.servable, shadow.release
    if release.share == 1:
        requests = sum(len(call.sizes) or 1 for call in group.calls)
        yield Copy(shadow, live, group.batches, group.output, requests, _size(live, group.rows))
        return
    start = 0
    for call in group.calls:
        sizes = call.sizes or (call.rows,)
        found = group.rows_of(call, start, start + call.rows)
        batches = found if len(found) == len(sizes) else list(call.parts(found[0]))
        for batch in batches:
            end = start + batch.rows
            identity = group.ids.part(start, start + 1)[0] if group.ids is not None else ""
            if is_in_share(identity, model=release.model, version=release.version, share=release.share):
                yield Copy(shadow, live, (batch,), group.output[start:end], 1, _size(live, batch.rows))
            start = end


def _size(live: Servable, rows: int) -> int:
    return rows * (live.schema.row_bytes + _CELL_BYTES * (len(live.schema.features) + max(1, live.width)))


def goes_with(one: Copy, others: Sequence[Copy]) -> bool:
    """Whether a copy is answered by the same call as those before it: of one shadow that gains from batches."""
    rows = sum(other.rows for other in others) + one.rows
    return others[0].shadow is one.shadow and one.shadow.batches and rows <= _MAX_ROWS_PER_CALL


def batch_for(shadow: Servable, live: Servable, batch: Batch) -> Batch:
    """The rows as the shadow takes them. Raises InvalidRequest where its features do not accept them."""
    if shadow.schema.features == live.schema.features and shadow.inputs == live.inputs:
        return batch
    names = [feature.name for feature in shadow.schema.features if feature.name in batch.columns]
    columns = [_plain(batch.columns[name]) for name in names]
    return shadow.schema.batch([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def _plain(values: Sequence[object] | Array) -> Sequence[object]:
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="us", timezone="UTC").tolist()  # type: ignore[no-any-return]
    return values.tolist()  # type: ignore[no-any-return]
