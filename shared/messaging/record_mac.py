"""Authentication of Kafka records: a message authentication code (MAC) in a header, over everything else that a record says.

Without it, any client with write access to the broker could start retrainings, or add rows to the lake in the name of a writer.

1. The MAC is HMAC-SHA-256 (RFC 2104) over topic, key, other headers and value, each preceded by its length: no two different
   records give the same input.
2. Partition and offset are not part of it. A record that is sent again is authentic; its id or sequence makes it a repeat.
3. Several keys may be known: the first makes MACs, the others are accepted too while keys are replaced. The header names the
   key by the first digits of its SHA-256.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

from shared.messaging.events import Headers
from shared.messaging.interfaces import Delivery, Message, Producer

HEADER = "homeostat-mac"
_ID_DIGITS = 8


class RecordMac:
    """Makes and checks MACs with `keys`: secrets of 32 bytes, the current one first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("no key")
        self._keys = {key_id(key): key for key in keys}
        self.key_id = key_id(keys[0])

    def header(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> tuple[str, bytes]:
        """The header that authenticates a record."""
        mac = _mac(self._keys[self.key_id], topic, key, value, headers)
        return HEADER, f"{self.key_id}:{mac}".encode()

    def find_flaw(self, message: Message) -> str:
        """Why the record is not authentic; empty if it is."""
        macs = [value for name, value in message.headers if name == HEADER]
        if not macs:
            return f"the record has no header {HEADER}"
        if len(macs) > 1:
            return f"the record has {len(macs)} headers {HEADER}"
        named, _, mac = (macs[0] or b"").partition(b":")
        key = self._keys.get(named[: _ID_DIGITS + 1].decode("ascii", "replace"))
        if key is None:
            return f"the MAC is of key {named[:_ID_DIGITS]!r}, expected key {' or '.join(self._keys)}"
        others = [(name, value) for name, value in message.headers if name != HEADER]
        made = _mac(key, message.partition.topic, message.key, message.value, others)
        if not hmac.compare_digest(made.encode(), mac):
            return "the MAC does not match: the record was changed, or copied from another topic"
        return ""


class AuthenticatingProducer:
    """A producer whose records carry a MAC."""

    def __init__(self, producer: Producer, mac: RecordMac) -> None:
        self._producer = producer
        self._mac = mac

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> Delivery:
        """Start sending a record. Raises as the producer does."""
        return self._producer.send(
            topic, key, value, [*headers, self._mac.header(topic, key, value, headers)]
        )

    def flush(self, timeout: float) -> None:
        """Wait until nothing is in flight. Raises DependencyUnavailable."""
        self._producer.flush(timeout)

    def reset(self) -> None:
        """Drop the connection and what is in flight."""
        self._producer.reset()

    def close(self) -> None:
        """Close the producer."""
        self._producer.close()


def key_id(key: bytes) -> str:
    """The name of a key, which says nothing about it."""
    return sha256(key).hexdigest()[:_ID_DIGITS]


def _mac(secret: bytes, topic: str, key: bytes | None, value: bytes, headers: Headers) -> str:
    mac = hmac.new(secret, digestmod="sha256")
    parts: list[bytes | None] = [topic.encode(), key, value]
    for name, content in headers:
        parts += [name.encode(), content]
    for part in parts:
        # Kafka knows missing keys and header values beside empty ones.
        mac.update((-1 if part is None else len(part)).to_bytes(8, "big", signed=True))
        mac.update(part or b"")
    return mac.hexdigest()
