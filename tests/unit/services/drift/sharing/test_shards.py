from __future__ import annotations

import pytest

from services.drift.sharing.shards import SHARDS, shard_of, shards_of


@pytest.mark.parametrize("partitions", [1, 3, 8, 12])
def test_every_shard_belongs_to_exactly_one_partition(partitions: int) -> None:
    owners = [shards_of({number}, partitions) for number in range(partitions)]
    assert sorted(shard for owned in owners for shard in owned) == list(range(SHARDS))


def test_shard_of_a_model_is_the_same_in_every_process() -> None:
    """Files are named by it: a hash that differs between processes would lose them."""
    assert [shard_of(name) for name in ("flights", "images", "demo")] == [2, 2, 0]
