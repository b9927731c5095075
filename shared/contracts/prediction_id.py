"""Ids of predictions: random, with a keyed checksum, so that a server knows its installation's ids without a look-up.

An id is 32 characters of lower-case base32hex: 12 random bytes, then 8 bytes of BLAKE2b keyed with the installation's key over
the random part and the model's name. Who cannot make ids cannot post outcomes for predictions that were never served.

Ids are made in blocks and kept in the form that both the reply and the log need: JSON text. A row then takes a piece of text.
"""

from __future__ import annotations

import hmac
import os
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from typing import Any, overload

import numpy as np
import numpy.typing as npt

_RANDOM_BYTES = 12
_CHECK_BYTES = 8
_LENGTH = 32
_BLOCK = 512  # ids made at once: a third of a millisecond
_STRIDE = _LENGTH + 3  # "…",

_copy, _update, _digest = blake2b.copy, blake2b.update, blake2b.digest
_ALPHABET = b"0123456789abcdefghijklmnopqrstuv"


class IdBlock(Sequence[str]):
    """Ids in a row, kept as the text between the brackets of a JSON array."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        """`text`: quoted ids, a comma after each but the last."""
        self.text = text

    def __len__(self) -> int:
        return (len(self.text) + 1) // _STRIDE

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return list(self)[index]

    def __iter__(self) -> Iterator[str]:
        text = self.text.decode("ascii")
        return (text[start : start + _LENGTH] for start in range(1, len(text), _STRIDE))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def part(self, start: int, end: int) -> IdBlock:
        """Ids `start` to `end`, without the last."""
        return IdBlock(self.text[_STRIDE * start : max(0, _STRIDE * end - 1)])


class PredictionIds:
    """Makes and checks ids with the installation's `key` (32 bytes). Making is for one thread."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=_CHECK_BYTES)
        self._stock: dict[str, tuple[bytes, int]] = {}
        # A forked process would hand out the ids of its parent a second time.
        os.register_at_fork(after_in_child=self._stock.clear)

    def make(self, model: str) -> str:
        """A new id for a prediction of `model`."""
        return self.make_many(model, 1)[0]

    def make_many(self, model: str, count: int) -> list[str]:
        """`count` new ids."""
        return list(self.make_block(model, count))

    def make_block(self, model: str, count: int) -> IdBlock:
        """`count` new ids, as a piece of those made in advance."""
        text, used = self._stock.get(model, (b"", 0))
        end = used + _STRIDE * count
        if end > len(text):
            text = text[used:] + self._spell(model, max(_BLOCK, count))
            used, end = 0, _STRIDE * count
        self._stock[model] = (text, end)
        return IdBlock(text[used : max(used, end - 1)])

    def is_ours(self, prediction_id: str, model: str) -> bool:
        """Whether this installation made the id for that model."""
        # Only the spelling we hand out: another one would be accepted here and then never meet its row in the lake.
        if (
            len(prediction_id) != _LENGTH
            or not prediction_id.isascii()
            or not prediction_id.isalnum()
            or prediction_id != prediction_id.lower()
        ):
            return False
        try:
            raw = int(prediction_id, 32).to_bytes(_RANDOM_BYTES + _CHECK_BYTES, "big")
        except ValueError:
            return False
        random, check = raw[:_RANDOM_BYTES], raw[_RANDOM_BYTES:]
        return hmac.compare_digest(check, self._check(random, model.encode()))

    def _spell(self, model: str, count: int) -> bytes:
        """New ids, each in quotes and followed by a comma."""
        size = _RANDOM_BYTES + len(name := model.encode())
        checked = np.empty((count, size), np.uint8)
        checked[:, :_RANDOM_BYTES] = np.frombuffer(os.urandom(_RANDOM_BYTES * count), np.uint8).reshape(
            count, -1
        )
        checked[:, _RANDOM_BYTES:] = np.frombuffer(name, np.uint8)
        text = checked.tobytes()
        # The same as `_check` for each, without a step of the interpreter per id.
        states = list(map(_copy, repeat(self._keyed, count)))
        deque(
            map(_update, states, [text[start : start + size] for start in range(0, len(text), size)]),
            maxlen=0,
        )
        raw = np.empty((count, _RANDOM_BYTES + _CHECK_BYTES), np.uint8)
        raw[:, :_RANDOM_BYTES] = checked[:, :_RANDOM_BYTES]
        raw[:, _RANDOM_BYTES:] = np.frombuffer(b"".join(map(_digest, states)), np.uint8).reshape(count, -1)
        # Five bytes are eight characters, looked up two at a time.
        fives = raw.reshape(-1, 5)
        wide = np.zeros((len(fives), 8), np.uint8)
        wide[:, 3:] = fives
        shifts = np.array([30, 20, 10, 0], np.uint64)
        pairs = (wide.view(">u8").astype(np.uint64) >> shifts) & np.uint64(1023)
        quoted = np.empty((count, _STRIDE), np.uint8)
        quoted[:, 0] = quoted[:, -2] = ord('"')
        quoted[:, -1] = ord(",")
        quoted[:, 1:-2] = _pairs()[pairs.astype(np.intp)].view(np.uint8).reshape(count, _LENGTH)
        return quoted.tobytes()

    def _check(self, random: bytes, name: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(random + name)
        return digest.digest()


@lru_cache(maxsize=1)
def _pairs() -> npt.NDArray[Any]:
    """The two characters of each ten bits, as one number each."""
    letters = np.frombuffer(_ALPHABET, np.uint8)
    both = np.stack([np.repeat(letters, 32), np.tile(letters, 32)], axis=1)
    return np.ascontiguousarray(both).view(np.uint16).reshape(-1)
