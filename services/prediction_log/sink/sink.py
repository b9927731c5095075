"""The sink: writes Kafka records to the lake, each row once.

One round:

1. Collect records for at most `commit_seconds` after the first; until there are no more, if the last ones are as long ago.
2. Compare the topics' ids with those seen before the first record was fetched. If a topic was recreated, discard the records:
   offsets must never be stored under another topic's id.
3. Decode and check every record; send those that fail to the dead-letter topic and wait for the acknowledgement.
4. Per table: drop repeats, then append rows, offsets and sequences in one commit (see table_writer.py). If that fails for an
   unknown reason, try record by record; one that fails alone, while table and store work, becomes a dead letter.
5. Commit the offsets to Kafka. After a crash before this step, the next start finds only repeats in step 4.

Before step 1 outcomes that have waited long enough for their prediction become dead letters (see held_outcomes.py).
A record that ended the process three times in steps 3 to 5 becomes a dead letter (see shared/messaging/handling_journal.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event as Flag

from deltalake.exceptions import DeltaError

from services.prediction_log.dead_letters import DeadLetter, send_dead_letter
from services.prediction_log.metrics import SinkMetrics
from services.prediction_log.sink.collector import Collector
from services.prediction_log.sink.dead_letter_table import DeadLetterTable
from services.prediction_log.sink.decoding import DecodedBatch, origin, read_message
from services.prediction_log.sink.expiry import Expiry
from services.prediction_log.sink.held_outcomes import HeldOutcomes
from services.prediction_log.sink.progress import TOPICS, Progress
from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import Prepared, TableWriter
from shared.backoff import Backoff
from shared.contracts.lake_schema import OUTCOME_COLUMNS, OUTCOMES, PREDICTION_COLUMNS
from shared.contracts.topics import DEAD_LETTERS, MAX_RECORD_BYTES
from shared.errors import Conflict, DependencyUnavailable
from shared.messaging.handling_journal import HandlingJournal
from shared.messaging.interfaces import Consumer, Message, Partition, Producer, RecordRefused, TopicIdentity
from shared.messaging.record_mac import RecordMac
from shared.observability.logs import get_logger, log_unknown_error
from shared.stores.lake import Lake

_log = get_logger(__name__)
_ATTEMPTS = 5
_RETENTION = Retention()
_BACKOFF = Backoff(first_s=0.2, max_s=5.0)
_IDLE_SECONDS = (
    10.0  # between looks at topics and lag while no records come; each look at records has its own
)
_ACKNOWLEDGE_SECONDS = 20.0
# Failures of the environment; no record causes them.
_ENVIRONMENT_ERRORS = (DependencyUnavailable, RecordRefused, Conflict, OSError, MemoryError)


class Sink:
    """Writes the lake below `lake.root`. Not thread-safe; several processes may run and share the partitions."""

    def __init__(
        self,
        consumer: Consumer,
        producer: Producer,
        lake: Lake,
        metrics: SinkMetrics,
        mac: RecordMac,
        journal: HandlingJournal,
        *,
        commit_seconds: float = 0.4,
        commit_records: int = 500,
        maximum_record_bytes: int = MAX_RECORD_BYTES,
        compact_commits: int = 100,
        retention: Retention = _RETENTION,
        hold: timedelta = timedelta(days=1),
        keep: timedelta | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._lake = lake
        self._metrics = metrics
        self._mac = mac
        self._journal = journal
        self._collector = Collector(consumer, commit_seconds, commit_records)
        self._maximum_record_bytes = maximum_record_bytes
        self._compact_commits = compact_commits
        self._retention = retention
        self._tables: dict[tuple[str, str], TableWriter] = {}
        self._dead_letter_table = DeadLetterTable(lake, retention)
        clock = now or partial(datetime.now, UTC)
        self._held = HeldOutcomes(lake, hold, partial(self._table, OUTCOMES), self._refuse, clock)
        self._expiry = Expiry(lake, keep, self._table, clock)
        self._identities: dict[str, TopicIdentity] | None = None
        self._identities_checked = 0.0
        self._progress = Progress(metrics)
        self.last_error = ""

    def run(self, stop: Flag) -> None:
        """Work until `stop` is set. After a failure everything since the last commit is read again."""
        failures = 0
        while not stop.is_set():
            try:
                self.step()
                self.last_error = ""
                failures = 0
                continue
            except (*_ENVIRONMENT_ERRORS, DeltaError) as error:
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
        """One round; the rows written. After any error the caller rewinds the consumer, and nothing is lost."""
        if self._identities is None:
            self._identities = self._consumer.identities(TOPICS)
        self._held.settle()
        self._expiry.expire()
        messages = self._collector.collect()
        if not messages and time.monotonic() - self._identities_checked < _IDLE_SECONDS:
            return 0
        self._progress.update_lag(self._consumer)
        if self._is_another_topic():
            _log.warning("topic_recreated")
            self._identities = None
            self._consumer.reset()
            return 0
        if not messages:
            return 0
        rows = 0
        for group in self._journal.groups(messages):
            with self._journal.handling(group):
                rows += self._store(group)
        self._compact()
        return rows

    def _store(self, messages: Sequence[Message]) -> int:
        """Steps 3 to 5; the rows written."""
        batches, dead_letters = self._read(messages)
        rows = self._write(batches)
        if stored := self._dead_letter_table.append(dead_letters):
            self._metrics.rows.labels("dead_letters", "-").inc(stored)
        self._commit_offsets(messages)
        return rows

    def _is_another_topic(self) -> bool:
        """Whether a topic was deleted and created again. Checked before every commit, and periodically when idle.

        A check that fails is not counted as one: the next round checks again, so an unavailable broker stays `last_error`.
        """
        identities = self._consumer.identities(TOPICS)
        self._identities_checked = time.monotonic()
        return identities != self._identities

    def _read(
        self, messages: Sequence[Message]
    ) -> tuple[dict[tuple[str, str], list[DecodedBatch]], list[DeadLetter]]:
        """Decoded batches by table, and the dead letters of the dead-letter topic. Refused records are sent to that topic."""
        assert self._identities is not None
        batches: dict[tuple[str, str], list[DecodedBatch]] = {}
        refused: list[DeadLetter] = []
        dead_letters: list[DeadLetter] = []
        for message in messages:
            topic = message.partition.topic
            self._metrics.records.labels(topic).inc()
            if topic == DEAD_LETTERS.name:
                dead_letters.append(self._read_dead_letter(message, self._identities[topic]))
                continue
            found = self._read_one(message, self._identities[topic])
            if isinstance(found, DeadLetter):
                refused.append(found)
            else:
                batches.setdefault((found.kind, found.model), []).append(found)
        self._refuse(refused)
        return batches, dead_letters

    def _read_dead_letter(self, message: Message, identity: TopicIdentity) -> DeadLetter:
        place = origin(message, identity)
        if self._journal.is_given_up(message):
            return self._given_up(message, place)
        if flaw := self._mac.find_flaw(message):
            return DeadLetter.unauthenticated(message, place, flaw)
        return DeadLetter.from_message(message, place)

    def _given_up(self, message: Message, place: str) -> DeadLetter:
        return DeadLetter.crashing(message, place, f"handling it ended the sink {self._journal.limit} times")

    def _read_one(self, message: Message, identity: TopicIdentity) -> DecodedBatch | DeadLetter:
        if self._journal.is_given_up(message):
            return self._given_up(message, origin(message, identity))
        try:
            return read_message(message, identity, maximum_bytes=self._maximum_record_bytes, mac=self._mac)
        except MemoryError:
            raise
        except Exception as error:
            unread = (
                f"the record cannot be read (see error {log_unknown_error(_log, error)} in the sink's log)"
            )
            return DeadLetter.undecodable(message, origin(message, identity), unread)

    def _write(self, batches: dict[tuple[str, str], list[DecodedBatch]]) -> int:
        return sum(self._write_table(kind, model, group) for (kind, model), group in batches.items())

    def _write_table(self, kind: str, model: str, batches: Sequence[DecodedBatch]) -> int:
        """The rows written. After an unknown error records are tried one by one, so that one cannot block the others."""
        table = self._table(kind, model)
        begun = time.monotonic()
        try:
            prepared, rows = self._append(table, batches)
        except _ENVIRONMENT_ERRORS:
            raise
        except Exception as error:
            if len(batches) > 1:
                _log.warning("commit_failed", kind=kind, model=model, error=repr(error)[:500])
                return sum(self._write_table(kind, model, [decoded]) for decoded in batches)
            prepared, rows = self._give_up(table, batches[0], error)
        self._metrics.commit_seconds.observe(time.monotonic() - begun)
        self._progress.count(kind, model, prepared, rows)
        return rows

    def _give_up(self, table: TableWriter, decoded: DecodedBatch, error: Exception) -> tuple[Prepared, int]:
        """Turn a record that cannot be committed even alone into a dead letter; raises where the record is not the cause.

        1. The table accepts an empty commit, so the table works.
        2. The dead-letter table accepts the record's bytes, so the store works.
        3. The record goes to the dead-letter topic, its offset and sequences into the table, as for any schema mismatch.
        """
        error_id = log_unknown_error(_log, error)
        refused = replace(
            decoded, flaw=f"the table refuses the rows (see error {error_id} in the sink's log)"
        )
        table.check()
        self._dead_letter_table.append(table.prepare([refused]).dead_letters())
        return self._append(table, [refused])

    def _append(self, table: TableWriter, batches: Sequence[DecodedBatch]) -> tuple[Prepared, int]:
        """Prepare and commit; prepare again where another sink committed first."""
        for attempt in range(_ATTEMPTS):
            prepared = table.prepare(batches)
            self._refuse(prepared.dead_letters())
            try:
                return prepared, table.commit(prepared)
            except Conflict:
                self._metrics.conflicts.inc()
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _refuse(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Send dead letters to their topic and wait for the acknowledgements."""
        for dead_letter in dead_letters:
            send_dead_letter(self._producer, dead_letter, "sink", _ACKNOWLEDGE_SECONDS)
            self._metrics.dead_letters.labels(dead_letter.reason).inc()
            _log.warning(
                "record_refused",
                reason=dead_letter.reason,
                origin=dead_letter.origin,
                offset=dead_letter.origin_offset,
            )

    def _commit_offsets(self, messages: Sequence[Message]) -> None:
        offsets: dict[Partition, int] = {}
        for message in messages:
            offsets[message.partition] = max(offsets.get(message.partition, 0), message.offset + 1)
        try:
            self._consumer.commit(offsets)
        except DependencyUnavailable as error:
            # The rows are in the lake: the next reader skips them.
            _log.warning("offsets_not_committed", error=str(error))

    def _compact(self) -> None:
        for (kind, model), table in self._tables.items():
            if table.is_due_for_compaction(self._compact_commits):
                table.compact()
                self._metrics.compactions.inc()
                _log.info("compacted", kind=kind, model=model)

    def _table(self, kind: str, model: str) -> TableWriter:
        if (kind, model) not in self._tables:
            location, columns, time_column = self._lake.outcomes(model), OUTCOME_COLUMNS, "observed_at"
            if kind == "predictions":
                location, columns = self._lake.predictions(model), PREDICTION_COLUMNS
                time_column = "event_time"
            self._tables[kind, model] = TableWriter(
                location, columns, time_column=time_column, retention=self._retention
            )
        return self._tables[kind, model]
