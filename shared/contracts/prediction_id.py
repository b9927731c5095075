"""Ids of predictions: random, with a keyed checksum, so that a server knows its installation's ids without a look-up.

An id is 32 characters of lower-case base32hex: 12 random bytes, then 8 bytes of BLAKE2b keyed with the installation's key over
the random part and the model's name. Who cannot make ids cannot post outcomes for predictions that were never served.
"""

from __future__ import annotations

import hmac
import os
from hashlib import blake2b

import numpy as np

_RANDOM_BYTES = 12
_CHECK_BYTES = 8
_LENGTH = 32

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_PAIR_SHIFTS = tuple(range(150, -1, -10))
_FEW = 8  # ids below which the table is quicker than numpy


class PredictionIds:
    """Makes and checks ids with the installation's `key` (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=_CHECK_BYTES)

    def make(self, model: str) -> str:
        """A new id for a prediction of `model`."""
        return self.make_many(model, 1)[0]

    def make_many(self, model: str, count: int) -> list[str]:
        """`count` new ids; one read of randomness for all of them."""
        pool, name = os.urandom(_RANDOM_BYTES * count), model.encode()
        parts = [pool[start : start + _RANDOM_BYTES] for start in range(0, len(pool), _RANDOM_BYTES)]
        raw = [random + self._check(random, name) for random in parts]
        return _spell_many(b"".join(raw)) if count > _FEW else [_spell(one) for one in raw]

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

    def _check(self, random: bytes, name: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(random + name)
        return digest.digest()


def _spell(raw: bytes) -> str:
    """20 bytes as 32 characters, two at a time; the standard library takes twice as long."""
    number = int.from_bytes(raw, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _PAIR_SHIFTS])


def _spell_many(raw: bytes) -> list[str]:
    """The same for many: five bytes are eight characters."""
    fives = np.frombuffer(raw, np.uint8).reshape(-1, 5)
    wide = np.zeros((len(fives), 8), np.uint8)
    wide[:, 3:] = fives
    shifts = np.arange(35, -1, -5, dtype=np.uint64)
    digits = (wide.view(">u8").astype(np.uint64) >> shifts) & np.uint64(31)
    letters = np.frombuffer(_ALPHABET.encode(), np.uint8)
    text = letters[digits.astype(np.intp)].tobytes().decode("ascii")
    return [text[start : start + _LENGTH] for start in range(0, len(text), _LENGTH)]
