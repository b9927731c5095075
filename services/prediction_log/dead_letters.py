"""Dead letters: records nobody can read or take, kept as they came with the reason and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pyarrow as pa

from shared.contracts.lake_schema import DEAD_LETTER_COLUMNS
from shared.contracts.topics import DEAD_LETTERS
from shared.messaging.events import Event, Headers
from shared.messaging.interfaces import Message, Producer, RecordRefused

MAXIMUM_BYTES = 500_000
_SHORT_BYTES = 1_000
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class DeadLetter:
    """One refused record. `origin` tells the stream it stood in, `origin_offset` its place there; together they are its identity.

    `rows` is the number of rows it held, where that is known. The value is cut at MAXIMUM_BYTES.
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
        """The value is not what its headers say."""
        return cls._of(message, origin, "undecodable", detail)

    @classmethod
    def headerless(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Without its headers nobody knows what the record is."""
        return cls._of(message, origin, "headers", detail)

    @classmethod
    def oversize(cls, message: Message, origin: str, detail: str) -> DeadLetter:
        """Larger than the sink is willing to read."""
        return cls._of(message, origin, "oversize", detail)

    @classmethod
    def misfit(cls, message: Message, origin: str, detail: str, rows: int) -> DeadLetter:
        """A feature has another type than the lake's column."""
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
        """Rows on the spool that cannot become a Kafka record: `oversize`, or `encoding`."""
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
        """Read a record of the dead-letter topic; one with unreadable headers is a dead letter of its own."""
        try:
            values = {name: value.decode() for name, value in message.headers}
            return cls(
                reason=values["reason"],
                detail=values.get("detail", ""),
                origin=values["origin"],
                origin_topic=values["origin_topic"],
                origin_partition=_whole(values["origin_partition"]),
                origin_offset=_whole(values["origin_offset"]),
                value=message.value,
                headers=[("json", values.get("origin_headers", "").encode())],
                rows=_whole(values["rows"]) if values.get("rows") else None,
            )
        except (KeyError, ValueError, AttributeError) as error:
            return cls._of(message, origin, "headers", f"{type(error).__name__}: {error}")


def send_letter(producer: Producer, letter: DeadLetter, source: str, timeout: float) -> None:
    """Put a letter on the dead-letter topic and wait until it is there, cut short where the broker takes no more.

    Raises DependencyUnavailable; RecordRefused where the broker takes not even the short form.
    """
    key, headers = letter.origin.encode(), letter.kafka_headers(source)
    try:
        producer.send(DEAD_LETTERS.name, key, letter.value, headers).result(timeout)
    except RecordRefused:
        producer.send(DEAD_LETTERS.name, key, letter.value[:_SHORT_BYTES], headers).result(timeout)


def dead_letter_rows(letters: Sequence[DeadLetter]) -> pa.Table:
    """The letters as rows of the lake's dead-letter table."""
    now = datetime.now(UTC)
    return pa.Table.from_pylist(
        [
            {
                "refused_at": now,
                "reason": letter.reason,
                "detail": letter.detail,
                "origin": letter.origin,
                "origin_topic": letter.origin_topic,
                "origin_partition": letter.origin_partition,
                "origin_offset": letter.origin_offset,
                "rows": letter.rows,
                "headers": letter.headers[0][1].decode()
                if letter.headers and letter.headers[0][0] == "json"
                else _as_text(letter.headers),
                "value": letter.value,
            }
            for letter in letters
        ],
        schema=DEAD_LETTER_COLUMNS,
    )


def _whole(text: str) -> int:
    """A number the lake's columns can hold. Raises ValueError."""
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{text[:30]} is too large a number")
    return number


def _as_text(headers: Headers) -> str:
    pairs = [[name, (value or b"").decode(errors="replace")] for name, value in headers]
    return orjson.dumps(pairs).decode()[:10_000]
