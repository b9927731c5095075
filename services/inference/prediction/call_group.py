"""Calls of one servable that were answered together: what each is answered, and what the log holds of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.class_scores import most_probable
from services.inference.prediction.recorder import Answered, as_numbers
from shared.contracts.prediction_id import IdBlock, PredictionIds
from shared.spool.record import Classes

# Bytes of tensors in one record of the log.
MAX_RECORD_BYTES = 512 << 10

Array = npt.NDArray[Any]


@dataclass(slots=True)
class CallGroup:
    """Calls, their rows in one or more batches, and the output for all rows."""

    servable: Servable
    calls: list[Call]
    batches: list[Batch]
    rows: int
    output: Array
    scores: list[float] | None = None
    classes: npt.NDArray[np.intp] | None = None
    texts: list[str] | None = None
    scored: tuple[float, float] = (0.0, 0.0)  # when the model ran, for spans; by time.perf_counter
    ids: IdBlock | None = None

    @classmethod
    def of(cls, calls: list[Call], batches: list[Batch], output: Array) -> CallGroup:
        """A group with what the output means: scores, or classes and their probabilities."""
        servable = calls[0].servable
        group = cls(servable, calls, batches, sum(batch.rows for batch in batches), output)
        if servable.classes:
            group.classes, group.scores = most_probable(output)
            texts = servable.labels.texts
            group.texts = [texts[place] for place in group.classes.tolist()]
        elif servable.scores:
            group.scores = as_numbers(output)
        return group

    @property
    def is_one_record(self) -> bool:
        """Whether no call has an event time or a trace of its own."""
        return not any(call.traceparent or call.event_time for call in self.calls)

    def take_ids(self, ids: PredictionIds) -> IdBlock:
        """New ids for all rows; first rows that have one already keep it."""
        model = self.servable.model
        if all(call.first_id is None for call in self.calls):
            self.ids = ids.make_block(model, self.rows)
        else:
            blocks = [
                block
                for call in self.calls
                for block in (call.first_id, ids.make_block(model, call.rows - len(call.first_id or ())))
                if block is not None and len(block)
            ]
            self.ids = IdBlock(b",".join(block.text for block in blocks))
        return self.ids

    def predictions(self, ids: IdBlock) -> Iterator[tuple[Call, Prediction]]:
        """The answer to each call."""
        whole = Prediction(ids, self.output, self.scores, self.classes)
        return zip(self.calls, whole.split([call.rows for call in self.calls]), strict=True)

    def records(self, ids: IdBlock, answered_at: datetime) -> list[Answered]:
        """The rows for the log: one record, or one per call."""
        if len(self.calls) == 1 or self.is_one_record:
            return [
                self._record(
                    self.calls[0], self.batches, ids, 0, self.rows, answered_at, self._keys(self.calls)
                )
            ]
        return [
            self._record(
                call,
                self.rows_of(call, start, end),
                ids.part(start, end),
                start,
                end,
                answered_at,
                self._keys([call]),
            )
            for call, start, end in self._places()
        ]

    def _keys(self, calls: Sequence[Call]) -> list[str | None] | None:
        """Of each row the key that is logged; None if no call has one."""
        if all(call.key is None for call in calls):
            return None
        stored = self.servable.stored_key
        return [key for call in calls for key in [stored(call.key)] * call.rows]

    def _record(
        self,
        call: Call,
        batches: Sequence[Batch],
        ids: IdBlock,
        start: int,
        end: int,
        answered_at: datetime,
        keys: list[str | None] | None,
    ) -> Answered:
        output = self.output[start:end]
        return Answered(
            self.servable,
            batches,
            ids,
            None if self.scores is None else self.scores[start:end],
            call.event_time or answered_at,
            call.traceparent,
            None if self.texts is None else Classes(self.texts[start:end], output),
            output if self.servable.is_vector else None,
            keys,
        )

    def rows_of(self, call: Call, start: int, end: int) -> Sequence[Batch]:
        """The rows of a call, which are `start` to `end` of the group's."""
        return [self.batches[0].part(start, end)] if len(self.batches) == 1 else call.checked()

    def _places(self) -> Iterator[tuple[Call, int, int]]:
        start = 0
        for call in self.calls:
            end = start + call.rows
            yield call, start, end
            start = end


def merged(groups: list[CallGroup]) -> list[CallGroup]:
    """Groups of tensors of one servable as one, up to the size of a record; tensors are not copied."""
    if len(groups) == 1:
        return groups
    runs: list[list[CallGroup]] = []
    rows = 0
    for group in groups:
        last = runs[-1][-1] if runs else None
        if (
            last is not None
            and last.servable is group.servable
            and last.servable.schema.has_tensors
            and last.output.shape[1:] == group.output.shape[1:]
            and (rows + group.rows) * group.servable.schema.row_bytes <= MAX_RECORD_BYTES
            and last.is_one_record
            and group.is_one_record
        ):
            runs[-1].append(group)
            rows += group.rows
        else:
            runs.append([group])
            rows = group.rows
    return [run[0] if len(run) == 1 else _joined(run) for run in runs]


def _joined(run: list[CallGroup]) -> CallGroup:
    first = run[0]
    return CallGroup(
        first.servable,
        [call for group in run for call in group.calls],
        [batch for group in run for batch in group.batches],
        sum(group.rows for group in run),
        np.concatenate([group.output for group in run]),
        None if first.scores is None else [score for group in run for score in group.scores or ()],
        None
        if first.classes is None
        else np.concatenate([group.classes for group in run if group.classes is not None]),
        None if first.texts is None else [text for group in run for text in group.texts or ()],
    )
