"""Ids of predictions: random, with a keyed check, so that a server knows its installation's ids without a look-up.

An id is 32 characters of lower-case base32hex, written together with its neighbours:

    group (17)   the hour since 1970 in which it was made (4) and random characters (13), the same for up to 64 ids made one
                 after the other
    place (2)    of the id in its group, plus 64
    check (13)   that place's part of SHAKE-128 over the installation's key, the group and the model's name

The hour says which part of the lake holds a prediction: see shared/stores/tables/id_hours.py. Ids of earlier releases are still
known: their group is all random, and their place is below 64.

Who cannot make ids cannot post outcomes for predictions that were never served: knowing other ids of a group does not help,
each has its own part of the output. SHAKE (FIPS 202) may be keyed by a prefix, a block of its own as in KMAC (NIST SP 800-185).

Ids are made in blocks and kept in the form that both the reply and the log need: JSON text. A row then takes a piece of text.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import shake_128
from itertools import accumulate
from typing import overload

import numpy as np

GROUP_LENGTH = 17
HOUR_LENGTH = 4
HOUR_SECONDS = 3600
# The first characters of the place of an id with an hour.
PLACES_WITH_HOUR = "23"
_FIRST_PLACE = 64
_PLACE_LENGTH = 2
_CHECK_LENGTH = 13
# A character of each, 5 bits of it: 130 bits.
CONTENT_BYTES = GROUP_LENGTH - HOUR_LENGTH + _CHECK_LENGTH
_LENGTH = GROUP_LENGTH + _PLACE_LENGTH + _CHECK_LENGTH
_GROUP_IDS = 64  # to check an id, the output for all of its group is computed: 5 µs
_GROUPS = 8  # made at once: 70 µs
_BLOCK = _GROUPS * _GROUP_IDS
_STRIDE = _LENGTH + 3  # "…",
_SHAKE_BLOCK = 168
# The fields of a quoted id as bytes of any value: numpy copies each as a whole.
_QUOTED = np.dtype(
    {
        "names": ["group", "check"],
        "formats": [f"V{GROUP_LENGTH}", f"V{_CHECK_LENGTH}"],
        "offsets": [1, 1 + GROUP_LENGTH + _PLACE_LENGTH],
        "itemsize": _STRIDE,
    }
)

_ALPHABET = b"0123456789abcdefghijklmnopqrstuv"
# The character of each byte; a multiple of 32 bytes has the same one, so random bytes are random characters.
_CHARACTERS = _ALPHABET * (256 // len(_ALPHABET))


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

    def texts(self, sizes: Sequence[int]) -> list[bytes]:
        """The text of each part, of so many ids."""
        text, ends = self.text, list(accumulate(sizes))
        return [
            text[_STRIDE * (end - size) : _STRIDE * end - 1] for size, end in zip(sizes, ends, strict=True)
        ]


class PredictionIds:
    """Makes and checks ids with the installation's `key` (32 bytes). Making is for one thread. `clock`: seconds since 1970."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._keyed = shake_128(key.ljust(_SHAKE_BLOCK, b"\0"))
        self._clock = clock
        self._hour = -1  # of the ids in stock
        self._stock: dict[str, tuple[bytes, int]] = {}
        self._known = (
            b"",
            "",
            False,
            b"",
        )  # a group, its model, whether it has an hour, and the checks of all its ids
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
        hour = int(self._clock()) // HOUR_SECONDS
        if hour != self._hour:
            self._stock.clear()
            self._hour = hour
        text, used = self._stock.get(model, (b"", 0))
        end = used + _STRIDE * count
        if end > len(text):
            missing = end - len(text)
            more = [self._spell(model) for _ in range(0, missing, _STRIDE * _BLOCK)]
            text = b"".join((text[used:], *more))
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
        text = prediction_id.encode()
        group, check = text[:GROUP_LENGTH], text[-_CHECK_LENGTH:]
        try:
            place = int(text[GROUP_LENGTH:-_CHECK_LENGTH], len(_ALPHABET))
        except ValueError:
            return False
        with_hour = place >= _FIRST_PLACE
        # Outcomes of predictions that were made together often come together.
        *known, checks = self._known
        if known != [group, model, with_hour]:
            checks = self._checks(group, model.encode(), with_hour=with_hour)
            self._known = (group, model, with_hour, checks)
        # For a place outside of the group this is behind the last check, where nothing is.
        start = _CHECK_LENGTH * (place - _FIRST_PLACE if with_hour else place)
        return hmac.compare_digest(check, checks[start : start + _CHECK_LENGTH])

    def _spell(self, model: str) -> bytes:
        """The next _BLOCK ids, each in quotes and followed by a comma."""
        length = GROUP_LENGTH - HOUR_LENGTH
        random = os.urandom(_GROUPS * length).translate(_CHARACTERS)
        hour = hour_text(self._hour).encode()
        groups = [hour + random[start : start + length] for start in range(0, len(random), length)]
        checks = b"".join([self._checks(group, model.encode(), with_hour=True) for group in groups])
        quoted = bytearray(_places())
        fields = np.frombuffer(quoted, _QUOTED).reshape(_GROUPS, _GROUP_IDS)
        fields["group"] = np.frombuffer(b"".join(groups), _QUOTED["group"]).reshape(_GROUPS, 1)
        fields["check"] = np.frombuffer(checks, _QUOTED["check"]).reshape(_GROUPS, _GROUP_IDS)
        return bytes(quoted)

    def _checks(self, group: bytes, model: bytes, *, with_hour: bool) -> bytes:
        """The checks of the ids of a group, one after the other."""
        digest = self._keyed.copy()
        # No group starts with "@": an id with an hour has another check than one without.
        digest.update(b"@" + group + model if with_hour else group + model)
        return digest.digest(_CHECK_LENGTH * _GROUP_IDS).translate(_CHARACTERS)


def hour_text(hour: int) -> str:
    """The hour since 1970 as an id has it.

    >>> hour_text(498_912)
    'f770'
    """
    return "".join(chr(_ALPHABET[hour >> shift & 31]) for shift in range(5 * (HOUR_LENGTH - 1), -1, -5))


def content_id(hour: int, digest: bytes) -> str:
    """The id of an imported prediction: it has the form of the others, made of its content instead of random characters.

    `hour` since 1970 of the row; `digest` of its content, CONTENT_BYTES long. No server makes or accepts such an id: its check
    is not keyed.

    >>> content_id(498_912, bytes(26))
    'f7700000000000000200000000000000'
    """
    text = digest.translate(_CHARACTERS).decode("ascii")
    return f"{hour_text(hour)}{text[:_CHECK_LENGTH]}{PLACES_WITH_HOUR[0]}0{text[_CHECK_LENGTH:]}"


@lru_cache(maxsize=1)
def _places() -> bytes:
    """The text of a block, with the places only."""
    one = b"".join(
        b'"%b%c%c%b",'
        % (bytes(GROUP_LENGTH), _ALPHABET[place >> 5], _ALPHABET[place & 31], bytes(_CHECK_LENGTH))
        for place in range(_FIRST_PLACE, _FIRST_PLACE + _GROUP_IDS)
    )
    return one * _GROUPS
