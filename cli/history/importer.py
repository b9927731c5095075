"""Sends checked rows to the prediction log, goes on where an import was interrupted, and waits until they are in the lake.

1. How many rows of this import does the lake have?   2. send the others in order, a few records ahead of the acknowledgements
3. wait until the lake has the last row   4. count what was added, what it had before, and what it refused
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow.compute as pc

from cli.history.content import CheckedFile
from cli.history.records import EPOCH, Record, outcome_records, prediction_records, writer_of
from shared.contracts.lake_schema import IMPORTED_PARTITION, PARTITION, SOURCE, stream_transaction
from shared.errors import OperatorError
from shared.messaging.interfaces import Delivery, Producer
from shared.stores.dead_letters import read_dead_letters
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable

_AHEAD = 16
_ACKNOWLEDGE_S = 30.0
_POLL_S = 0.3


@dataclass(frozen=True)
class Stored:
    """What the lake has of an import: the number of the last row that was stored or refused (-1: none), and rows added by it."""

    predictions: int
    outcomes: int
    added: int
    added_outcomes: int

    def is_complete(self, file: CheckedFile) -> bool:
        """Whether the lake has dealt with every row of the file."""
        return self.predictions + 1 >= file.rows and self.outcomes + 1 >= file.outcomes


@dataclass(frozen=True)
class Imported:
    """Rows and outcomes of one import: `added` by this call, `known` to the lake before, `dead` letters of this call.

    `writer`: name of the import in the lake.
    """

    writer: str
    added: int
    added_outcomes: int
    known: int
    known_outcomes: int
    dead: int = 0


def import_rows(
    lake: Lake,
    producer: Producer,
    model: str,
    file: CheckedFile,
    *,
    wait_s: float,
    on_sent: Callable[[int], None] = lambda _: None,
    on_wait: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Imported:
    """Import the file's rows. `wait_s`: the longest time without progress of the lake.

    Raises DependencyUnavailable where Kafka or the lake is away, OperatorError where the lake stops: called again, it goes on.
    """
    writer = writer_of(file.digest)
    before = stored_of(lake, model, writer)
    if file.rows and not before.is_complete(file):
        _send(producer, model, writer, file, before, on_sent)
    on_wait()
    after = _wait(lake, model, writer, file, before, wait_s, clock, sleep)
    dead = _dead_rows(lake, writer)
    return Imported(
        writer,
        after.added - before.added,
        after.added_outcomes - before.added_outcomes,
        file.rows - (after.added - before.added) - dead[0],
        file.outcomes - (after.added_outcomes - before.added_outcomes) - dead[1],
        sum(dead),
    )


@raises_dependency_unavailable
def stored_of(lake: Lake, model: str, writer: str) -> Stored:
    """What the lake has of that writer."""
    numbers, counts = [], []
    for location in (lake.predictions(model), lake.outcomes(model)):
        table = lake.open(location)
        version = None if table is None else table.transaction_version(stream_transaction(writer, EPOCH))
        numbers.append(-1 if version is None else version)
        dataset = None if table is None else table.to_pyarrow_dataset()
        if dataset is None or SOURCE not in dataset.schema.names:
            counts.append(0)
            continue
        imported = pc.field(PARTITION) >= IMPORTED_PARTITION
        counts.append(dataset.count_rows(filter=imported & (pc.field("writer") == writer)))
    return Stored(*numbers, *counts)


def _send(
    producer: Producer,
    model: str,
    writer: str,
    file: CheckedFile,
    before: Stored,
    on_sent: Callable[[int], None],
) -> None:
    pending: deque[tuple[Delivery, Record]] = deque()
    rows, outcomes = 0, 0
    received_at = datetime.now(UTC)
    for table in file.batches():
        predictions = list(prediction_records(model, writer, table, rows))
        truths = list(outcome_records(model, writer, table, outcomes, received_at))
        rows += table.num_rows
        outcomes += sum(record.rows for record in truths)
        wanted = [record for record in predictions if record.last > before.predictions]
        wanted += [record for record in truths if record.last > before.outcomes]
        for record in wanted:
            while len(pending) >= _AHEAD:
                pending.popleft()[0].result(_ACKNOWLEDGE_S)
            pending.append(
                (producer.send(record.topic.name, record.key, record.value, record.headers), record)
            )
        on_sent(table.num_rows)
    while pending:
        pending.popleft()[0].result(_ACKNOWLEDGE_S)


def _wait(
    lake: Lake,
    model: str,
    writer: str,
    file: CheckedFile,
    before: Stored,
    wait_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Stored:
    stored, moved = before, clock()
    while not stored.is_complete(file):
        if clock() - moved >= wait_s:
            raise OperatorError(
                f"the lake has {stored.predictions + 1} of {file.rows} rows and {stored.outcomes + 1} of {file.outcomes} "
                f"outcomes of the import {writer}, and no more came for {wait_s:g} s",
                hint="check the sink with `homeostat status`; the rows are in Kafka: the same command goes on",
            )
        sleep(_POLL_S)
        found = stored_of(lake, model, writer)
        if found != stored:
            stored, moved = found, clock()
    return stored


def _dead_rows(lake: Lake, writer: str) -> tuple[int, int]:
    """Predictions and outcomes of the import that the lake refused."""
    counts = {"predictions": 0, "outcomes": 0}
    for letter in read_dead_letters(lake):
        if letter.headers.get("ce_source") == writer and not letter.is_replayed and letter.kind in counts:
            counts[letter.kind] += letter.rows or 0
    return counts["predictions"], counts["outcomes"]
