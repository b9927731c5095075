from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.drift.sharing.membership import EMPTY_POLLS, Membership
from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import SHARDS, shards_of
from shared.messaging.polling.group_membership import Assignment


@dataclass
class MemoryGroup:
    """A group that assigns what a test says; None: no broker answers."""

    assignment: Assignment | None = None
    closed: bool = False

    def poll(self) -> Assignment | None:
        return self.assignment

    def close(self) -> None:
        self.closed = True


@dataclass
class Member:
    home: Path
    group: MemoryGroup = field(default_factory=MemoryGroup)
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.models = SharedModels(self.home / "shards", streams=False)
        self.membership = Membership(self.group, self.models, self.counts.append)

    def assigned(self, *partitions: int) -> frozenset[int]:
        self.group.assignment = Assignment(frozenset(partitions), 3)
        self.membership.step()
        return self.models.shards()


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path)


def test_shards_follow_the_assigned_partitions(member: Member) -> None:
    assert member.models.shards() == frozenset()
    assert len(member.assigned(0, 1, 2)) == SHARDS
    assert member.assigned(1) == shards_of({1}, 3)
    assert member.counts == [SHARDS, 3]


def test_two_members_never_have_the_same_shard(member: Member) -> None:
    other = Member(member.home)
    member.assigned(0, 1, 2)
    assert other.assigned(2) == frozenset(), "the first one has not learnt of the second yet"
    member.assigned(0, 1)
    assert other.assigned(2) == shards_of({2}, 3)
    assert not member.models.shards() & other.models.shards()


def test_without_a_broker_the_shards_are_kept(member: Member) -> None:
    member.assigned(0)
    member.group.assignment = None
    member.membership.step()
    assert member.models.shards() == shards_of({0}, 3)


def test_member_without_partitions_gives_up_after_some_polls(member: Member) -> None:
    """Between two assignments a member has none."""
    member.assigned(0)
    for _ in range(EMPTY_POLLS - 1):
        assert member.assigned() == shards_of({0}, 3)
    assert member.assigned() == frozenset()
    member.membership.close()
    assert member.group.closed
