"""Collects the records of one commit: it ends when the consumer runs dry, but commits follow one another in a minimum time."""

from __future__ import annotations

import time

from shared.messaging.interfaces import Consumer, Message

_ROUND_BYTES = 64 << 20
_POLL_SECONDS = 1.0  # records end it at once; a stop waits for it
# A consumer without a record for so long has read all there are.
_DRY_SECONDS = 0.05


class Collector:
    """Polls `consumer`. At most `commit_records` records, and about 64 MiB, are collected for one commit."""

    def __init__(self, consumer: Consumer, commit_seconds: float, commit_records: int) -> None:
        self._consumer = consumer
        self._commit_seconds = commit_seconds
        self._commit_records = commit_records
        self._collected = -commit_seconds  # when the last records were, by the monotonic clock

    def collect(self) -> list[Message]:
        """All records there are, if the last ones are `commit_seconds` ago, else what comes until then; none while none come."""
        if not (messages := self._consumer.poll(_POLL_SECONDS, self._commit_records)):
            return messages
        due = self._collected + self._commit_seconds
        until = time.monotonic() + self._commit_seconds
        size = sum(len(message.value) for message in messages)
        while (
            len(messages) < self._commit_records
            and size < _ROUND_BYTES
            and (left := until - time.monotonic()) > 0
        ):
            pause = max(_DRY_SECONDS, due - time.monotonic())
            more = self._consumer.poll(min(left, pause), self._commit_records - len(messages))
            if not more and time.monotonic() >= due:
                break
            size += sum(len(message.value) for message in more)
            messages.extend(more)
        self._collected = time.monotonic()
        return messages
