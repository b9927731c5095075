"""Shards: fixed groups of models that move between processes together. Pure.

A model's shard depends on its name alone. A shard belongs to the process that the partition `shard % partitions` is assigned to,
so that more partitions move shards and change no file.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from zlib import crc32

SHARDS: Final = 8


def shard_of(model: str) -> int:
    """The shard of a model.

    >>> shard_of("flights"), shard_of("fraud")
    (2, 2)
    """
    return crc32(model.encode()) % SHARDS


def shards_of(assigned: Collection[int], partitions: int) -> frozenset[int]:
    """The shards of a member of the group with these of so many partitions.

    >>> sorted(shards_of({0}, 3)), sorted(shards_of({1, 2}, 3))
    ([0, 3, 6], [1, 2, 4, 5, 7])
    """
    return frozenset(shard for shard in range(SHARDS) if shard % partitions in assigned)
