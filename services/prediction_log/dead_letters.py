"""Dead letters: records that cannot be read or stored, kept unchanged with the reason and their origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import orjson
import pyarrow as pa

from shared.contracts.lake_schema import DEAD_LETTER_COLUMNS
from shared.contracts.topics import DEAD_LETTERS, OUTCOMES
from shared.messaging.arrow import CONTENT_TYPE
from shared.messaging.events import Event, Headers
from shared.messaging.interfaces import Message, Producer, RecordRefused
from shared.stores.dead_letters import UNKNOWN_PREDICTION

MAXIMUM_BYTES = 500_000
_SHORT_BYTES = 1_000
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class DeadLetter:
    """One refused record. `origin` names its stream, `origin_offset` its position there; together they are its identity.

    `rows` is the number of rows it held, if known. The value is truncated to MAXIMUM_BYTES.
    """

    reason: str
    detail: str
    origin: str
    origin_topic: str
    origin_partition: int
    origin_offset: int
    value: bytes
    headers: Headers
    rows: int | None = None

    @classmethod
    def undecodable(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """The value cannot be decoded as its headers declare."""
        return cls._of(message, origin, "undecodable", detail)

    @classmethod
    def unauthenticated(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Not sent by this installation, or changed on the way."""
        return cls._of(message, origin, "unauthenticated", detail)

    @classmethod
    def crashing(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Its handling ended the process again and again, so it was not read."""
        return cls._of(message, origin, "crash", detail)

    @classmethod
    def headerless(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Headers are missing or wrong, so the record cannot be identified."""
        return cls._of(message, origin, "headers", detail)

    @classmethod
    def oversize(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Larger than the sink reads."""
        return cls._of(message, origin, "oversize", detail)

    @classmethod
    def schema_mismatch(cls, message: Message, origin: str, detail: str, rows: int) -> DeadLetter:
        """A feature has a different type than the lake's column."""
        return cls._of(message, origin, "schema", detail, rows)

    @classmethod
    def unsendable(
        cls,
        *,
        reason: str,
        detail: str,
        writer: str,
        epoch: int,
        stream: str,
        sequence: int,
        rows: int,
        value: bytes,
    ) -> DeadLetter:
        """Rows on the spool that cannot become a Kafka record; `reason` is `oversize` or `encoding`."""
        return cls(
            reason=reason,
            detail=detail,
            origin=f"spool/{writer}/{epoch}/{stream}",
            origin_topic=f"spool/{writer}",
            origin_partition=epoch,
            origin_offset=sequence,
            value=value[:MAXIMUM_BYTES],
            headers=[],
            rows=rows,
        )

    @classmethod
    def unmatched(cls, model: str, outcomes: pa.RecordBatch, value: bytes, detail: str) -> DeadLetter:
        """Outcomes of one writer whose prediction the lake does not have; `value`: as a record holds them."""
        writer, epoch, sequence = (outcomes[name][0].as_py() for name in ("writer", "epoch", "sequence"))
        rows = sha256(outcomes["sequence"].to_numpy().tobytes()).hexdigest()[:16]
        event = Event.now(OUTCOMES.event_type, source=writer, model=model, content_type=CONTENT_TYPE)
        return cls(
            reason=UNKNOWN_PREDICTION,
            detail=detail,
            origin=f"lake/outcomes/{model}/{writer}/{epoch}/{rows}",
            origin_topic=OUTCOMES.name,
            origin_partition=epoch,
            origin_offset=sequence,
            value=value,
            headers=event.headers(),
            rows=outcomes.num_rows,
        )

    @classmethod
    def _of(
        cls, message: Message, origin: str, reason: str, detail: str, rows: int | None = None
    ) -> DeadLetter:
        return cls(
            reason=reason,
            detail=detail[:1000],
            origin=origin,
            origin_topic=message.partition.topic,
            origin_partition=message.partition.number,
            origin_offset=message.offset,
            value=message.value[:MAXIMUM_BYTES],
            headers=message.headers,
            rows=rows,
        )

    def kafka_headers(self, source: str) -> Headers:
        """Headers of the record on the dead-letter topic."""
        event = Event.now(DEAD_LETTERS.event_type, source=source, model="-", content_type=_OCTETS)
        values = {
            "reason": self.reason,
            "detail": self.detail,
            "origin": self.origin,
            "origin_topic": self.origin_topic,
            "origin_partition": str(self.origin_partition),
            "origin_offset": str(self.origin_offset),
            "rows": "" if self.rows is None else str(self.rows),
            "origin_headers": _as_text(self.headers),
        }
        return [*event.headers(), *((name, value.encode()) for name, value in values.items())]

    @classmethod
    def from_message(cls, message: Message, origin: str) -> DeadLetter:
        """Read a record of the dead-letter topic. One with unreadable headers becomes a new dead letter."""
        try:
            values = {name: value.decode() for name, value in message.headers}
            return cls(
                reason=values["reason"],
                detail=values.get("detail", ""),
                origin=values["origin"],
                origin_topic=values["origin_topic"],
                origin_partition=_integer(values["origin_partition"]),
                origin_offset=_integer(values["origin_offset"]),
                value=message.value,
                headers=[("json", values.get("origin_headers", "").encode())],
                rows=_integer(values["rows"]) if values.get("rows") else None,
            )
        except (KeyError, ValueError, AttributeError) as error:
            return cls._of(message, origin, "headers", f"{type(error).__name__}: {error}")


def send_dead_letter(producer: Producer, dead_letter: DeadLetter, source: str, timeout: float) -> None:
    """Send to the dead-letter topic and wait for the acknowledgement; the value is truncated where the broker refuses its size.

    Raises DependencyUnavailable; RecordRefused where the broker refuses the truncated value too.
    """
    key, headers = dead_letter.origin.encode(), dead_letter.kafka_headers(source)
    try:
        producer.send(DEAD_LETTERS.name, key, dead_letter.value, headers).result(timeout)
    except RecordRefused:
        producer.send(DEAD_LETTERS.name, key, dead_letter.value[:_SHORT_BYTES], headers).result(timeout)


def dead_letter_rows(dead_letters: Sequence[DeadLetter]) -> pa.Table:
    """Dead letters as rows of the lake's dead-letter table."""
    now = datetime.now(UTC)
    return pa.Table.from_pylist(
        [
            {
                "refused_at": now,
                "reason": dead_letter.reason,
                "detail": dead_letter.detail,
                "origin": dead_letter.origin,
                "origin_topic": dead_letter.origin_topic,
                "origin_partition": dead_letter.origin_partition,
                "origin_offset": dead_letter.origin_offset,
                "rows": dead_letter.rows,
                "headers": dead_letter.headers[0][1].decode()
                if dead_letter.headers and dead_letter.headers[0][0] == "json"
                else _as_text(dead_letter.headers),
                "value": dead_letter.value,
            }
            for dead_letter in dead_letters
        ],
        schema=DEAD_LETTER_COLUMNS,
    )


def _integer(text: str) -> int:
    """The integer in `text`; it must fit the lake's 64-bit columns. Raises ValueError."""
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{text[:30]} is too large a number")
    return number


def _as_text(headers: Headers) -> str:
    pairs = [[name, (value or b"").decode(errors="replace")] for name, value in headers]
    return orjson.dumps(pairs).decode()[:10_000]
