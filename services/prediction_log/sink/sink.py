"""The sink: Kafka to the lake, each row once. `python -m services.prediction_log sink`.

One round:

1. Collect records for at most `commit_seconds` after the first.
2. Ask which topics these are, and throw everything away when one is not the topic it was before the first record was fetched: so
   offsets are never booked under the wrong topic's name.
3. Read and check every record; send those that fail to the dead-letter topic and wait until it has them.
4. Per table: drop repeats, append rows, offsets and sequences in one commit (see writer.py). Where that fails for no known
   reason, record by record; one that fails alone, on a table and a store that work, becomes a dead letter.
5. Commit the offsets to Kafka. A crash before this makes step 4 of the next start find nothing but repeats.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event as Flag

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from services.prediction_log.dead_letters import DeadLetter, send_letter
from services.prediction_log.metrics import SinkMetrics
from services.prediction_log.sink.dead_letter_table import Burial
from services.prediction_log.sink.decoding import Arrival, origin, read_message
from services.prediction_log.sink.table_writer import Prepared, TableWriter
from shared.backoff import Backoff
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS
from shared.contracts.topics import DEAD_LETTERS, OUTCOMES, PREDICTIONS
from shared.errors import Conflict, DependencyUnavailable
from shared.messaging.interfaces import Consumer, Message, Partition, Producer, RecordRefused, TopicIdentity
from shared.observability.logs import get_logger, log_unknown_error
from shared.stores.lake import Lake

TOPICS = (PREDICTIONS.name, OUTCOMES.name, DEAD_LETTERS.name)
_log = get_logger(__name__)
_ROUND_BYTES = 64 << 20
_ATTEMPTS = 5
_BACKOFF = Backoff(first_s=0.2, max_s=5.0)
_IDENTITY_SECONDS = 2.0
_ACKNOWLEDGE_SECONDS = 20.0
# What the world around the sink does to it; a record is never to blame.
_FOREIGN_ERRORS = (DependencyUnavailable, RecordRefused, Conflict, OSError, MemoryError)


class Sink:
    """Writes the lake below `lake.root`. For one thread; several processes may run, they share the partitions."""

    def __init__(
        self,
        consumer: Consumer,
        producer: Producer,
        lake: Lake,
        metrics: SinkMetrics,
        *,
        commit_seconds: float = 0.7,
        commit_records: int = 500,
        maximum_record_bytes: int = 8 << 20,
        compact_commits: int = 100,
        retention: timedelta = timedelta(days=7),
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._lake = lake
        self._metrics = metrics
        self._commit_seconds = commit_seconds
        self._commit_records = commit_records
        self._maximum_record_bytes = maximum_record_bytes
        self._compact_commits = compact_commits
        self._retention = retention
        self._tables: dict[tuple[str, str], TableWriter] = {}
        self._burial = Burial(lake, retention)
        self._identities: dict[str, TopicIdentity] | None = None
        self._identities_asked = 0.0
        self._newest: dict[tuple[str, str], datetime] = {}
        self.last_error = ""

    def run(self, stop: Flag) -> None:
        """Work until told to stop. After a failure everything since the last commit is read again."""
        failures = 0
        while not stop.is_set():
            try:
                self.step()
                self.last_error = ""
                failures = 0
                continue
            except (*_FOREIGN_ERRORS, DeltaError) as error:
                if self.last_error != str(error):
                    _log.warning("round_failed", error=str(error))
                self.last_error = str(error)
            except Exception as error:
                self.last_error = f"unknown error {log_unknown_error(_log, error)}, see the log"
            self._metrics.failures.inc()
            self._consumer.rewind()
            failures += 1
            stop.wait(_BACKOFF.pause(failures))

    def step(self) -> int:
        """One round; the rows written. Whatever it raises, nothing is lost: rewind the consumer then."""
        if self._identities is None:
            self._identities = self._consumer.identities(TOPICS)
        messages = self._collect()
        self._tell_lag()
        if self._is_another_topic(idle=not messages):
            _log.warning("topic_recreated")
            self._identities = None
            self._consumer.reset()
            return 0
        if not messages:
            return 0
        arrivals, letters = self._read(messages)
        rows = self._write(arrivals)
        buried = self._burial.bury(letters)
        if buried:
            self._metrics.rows.labels("dead_letters", "-").inc(buried)
        self._commit_offsets(messages)
        self._compact()
        return rows

    def _is_another_topic(self, *, idle: bool) -> bool:
        """Whether a topic was deleted and made again. Asked before every commit, and now and then when there is none."""
        now = time.monotonic()
        if idle and now - self._identities_asked < _IDENTITY_SECONDS:
            return False
        self._identities_asked = now
        return self._consumer.identities(TOPICS) != self._identities

    def _collect(self) -> list[Message]:
        messages = self._consumer.poll(0.5, self._commit_records)
        if not messages:
            return messages
        until = time.monotonic() + self._commit_seconds
        size = sum(len(message.value) for message in messages)
        while (
            len(messages) < self._commit_records
            and size < _ROUND_BYTES
            and (left := until - time.monotonic()) > 0
        ):
            more = self._consumer.poll(min(left, 0.1), self._commit_records - len(messages))
            size += sum(len(message.value) for message in more)
            messages.extend(more)
        return messages

    def _read(
        self, messages: Sequence[Message]
    ) -> tuple[dict[tuple[str, str], list[Arrival]], list[DeadLetter]]:
        """Arrivals by table, and the letters that came on the dead-letter topic. Refused records go to that topic."""
        assert self._identities is not None
        arrivals: dict[tuple[str, str], list[Arrival]] = {}
        refused: list[DeadLetter] = []
        letters: list[DeadLetter] = []
        for message in messages:
            topic = message.partition.topic
            self._metrics.records.labels(topic).inc()
            if topic == DEAD_LETTERS.name:
                letters.append(DeadLetter.from_message(message, origin(message, self._identities[topic])))
                continue
            found = self._read_one(message, self._identities[topic])
            if isinstance(found, DeadLetter):
                refused.append(found)
            else:
                arrivals.setdefault((found.kind, found.model), []).append(found)
        self._refuse(refused)
        return arrivals, letters

    def _read_one(self, message: Message, identity: TopicIdentity) -> Arrival | DeadLetter:
        try:
            return read_message(message, identity, maximum_bytes=self._maximum_record_bytes)
        except MemoryError:
            raise
        except Exception as error:
            unread = f"it cannot be read (error {log_unknown_error(_log, error)} in the sink's log)"
            return DeadLetter.undecodable(message, origin(message, identity), unread)

    def _write(self, arrivals: dict[tuple[str, str], list[Arrival]]) -> int:
        return sum(self._write_table(kind, model, batch) for (kind, model), batch in arrivals.items())

    def _write_table(self, kind: str, model: str, arrivals: Sequence[Arrival]) -> int:
        """The rows written. What fails for no known reason is tried record by record, so that one holds up no others."""
        table = self._table(kind, model)
        begun = time.monotonic()
        try:
            prepared, rows = self._append(table, arrivals)
        except _FOREIGN_ERRORS:
            raise
        except Exception as error:
            if len(arrivals) > 1:
                _log.warning("commit_failed", kind=kind, model=model, error=repr(error)[:500])
                return sum(self._write_table(kind, model, [arrival]) for arrival in arrivals)
            prepared, rows = self._give_up(table, arrivals[0], error)
        self._metrics.commit_seconds.observe(time.monotonic() - begun)
        self._metrics.rows.labels(kind, model).inc(rows)
        self._metrics.repeats.labels(kind, model).inc(prepared.repeats)
        self._metrics.missing.labels(kind, model).inc(prepared.missing)
        if prepared.missing:
            _log.warning("rows_missing", kind=kind, model=model, rows=prepared.missing)
        if prepared.rows is not None and prepared.rows.num_rows:
            self._tell_moments(kind, model, prepared.rows)
        return rows

    def _tell_moments(self, kind: str, model: str, rows: pa.Table) -> None:
        """How late the oldest row of a commit came, and how new the newest row in the lake is."""
        now = datetime.now(UTC)
        span = pc.min_max(rows["answered_at" if kind == "predictions" else "received_at"]).as_py()
        self._metrics.freshness.observe(max(0.0, (now - span["min"]).total_seconds()))
        # A row that claims to come from the future must not hide for years that nothing comes any more.
        newest = min(span["max"], now)
        newest = max(newest, self._newest.get((kind, model), newest))
        self._newest[kind, model] = newest
        self._metrics.last_row.labels(kind, model).set(newest.timestamp())

    def _give_up(self, table: TableWriter, arrival: Arrival, error: Exception) -> tuple[Prepared, int]:
        """Make a dead letter of a record that cannot be committed even alone; raises where the record is not to blame.

        1. The table takes a commit, so the table is not at fault.
        2. The dead-letter table takes the record's bytes, so the store is not at fault.
        3. The record goes to the dead-letter topic, and its place and numbers into the table, as for any misfit.
        """
        error_id = log_unknown_error(_log, error)
        refused = replace(arrival, flaw=f"the table does not take it (error {error_id} in the sink's log)")
        table.check()
        self._burial.bury(_letters(table.prepare([refused])))
        return self._append(table, [refused])

    def _append(self, table: TableWriter, arrivals: Sequence[Arrival]) -> tuple[Prepared, int]:
        """Prepare and commit; where another sink was first, look again at what is left to do."""
        for attempt in range(_ATTEMPTS):
            prepared = table.prepare(arrivals)
            self._refuse(_letters(prepared))
            try:
                return prepared, table.commit(prepared)
            except Conflict:
                self._metrics.conflicts.inc()
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _refuse(self, letters: Iterable[DeadLetter]) -> None:
        """Put records on the dead-letter topic and wait until it has them."""
        for letter in letters:
            send_letter(self._producer, letter, "sink", _ACKNOWLEDGE_SECONDS)
            self._metrics.dead_letters.labels(letter.reason).inc()
            _log.warning(
                "record_refused", reason=letter.reason, origin=letter.origin, offset=letter.origin_offset
            )

    def _commit_offsets(self, messages: Sequence[Message]) -> None:
        offsets: dict[Partition, int] = {}
        for message in messages:
            offsets[message.partition] = max(offsets.get(message.partition, 0), message.offset + 1)
        try:
            self._consumer.commit(offsets)
        except DependencyUnavailable as error:
            # The rows are in the lake: whoever reads them again will skip them.
            _log.warning("offsets_not_committed", error=str(error))

    def _compact(self) -> None:
        for (kind, model), table in self._tables.items():
            if table.is_due_for_compaction(self._compact_commits):
                table.compact()
                self._metrics.compactions.inc()
                _log.info("compacted", kind=kind, model=model)

    def _table(self, kind: str, model: str) -> TableWriter:
        if (kind, model) not in self._tables:
            if kind == "predictions":
                location, columns, time_column = (
                    self._lake.predictions(model),
                    PREDICTION_COLUMNS,
                    "event_time",
                )
            else:
                location, columns, time_column = self._lake.outcomes(model), OUTCOME_COLUMNS, "observed_at"
            self._tables[kind, model] = TableWriter(
                location, columns, time_column=time_column, retention=self._retention
            )
        return self._tables[kind, model]

    def _tell_lag(self) -> None:
        lags = dict.fromkeys(TOPICS, 0)
        for place, lag in self._consumer.lag().items():
            lags[place.topic] += lag
        for topic, lag in lags.items():
            self._metrics.lag.labels(topic).set(lag)


def _letters(prepared: Prepared) -> list[DeadLetter]:
    """The misfits as dead letters."""
    return [
        DeadLetter.misfit(
            misfit.arrival.message,
            misfit.arrival.offset_id.removeprefix("offset/"),
            misfit.detail,
            misfit.rows,
        )
        for misfit in prepared.misfits
    ]
