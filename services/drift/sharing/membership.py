"""Follows the consumer group: the partitions of the predictions topic that are assigned to this process say which shards it has.

No record is read here, and no offset is committed: stream detection keeps its positions with its state. While no broker answers,
the process keeps its shards; the locks keep others from them.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Protocol

from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import shards_of
from shared.messaging.polling.group_membership import Assignment
from shared.observability.logs import get_logger

_log = get_logger(__name__)
POLL_SECONDS = 1.0
# Between two assignments a member has none for a moment; only what lasts is followed.
EMPTY_POLLS = 3


class Group(Protocol):
    """Membership in a consumer group."""

    def poll(self) -> Assignment | None:
        """The partitions assigned now; None while no broker answers."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Membership:
    """Has `models` follow the group. `on_shards` receives the number of shards that this process has after each poll."""

    def __init__(
        self, group: Group, models: SharedModels, on_shards: Callable[[int], None] = lambda _: None
    ) -> None:
        self._group = group
        self._models = models
        self._on_shards = on_shards
        self._empty = 0

    def run(self, stop: Event) -> None:
        """Follow until `stop` is set. The group is left by `close`, after the last state is stored."""
        while not stop.is_set():
            self.step()
            stop.wait(POLL_SECONDS)

    def step(self) -> None:
        """One poll."""
        assignment = self._group.poll()
        wanted = self._models.shards()
        if assignment is not None:
            self._empty = 0 if assignment.partitions else self._empty + 1
            if assignment.partitions or self._empty >= EMPTY_POLLS:
                wanted = shards_of(assignment.partitions, max(1, assignment.count))
        before = self._models.shards()
        self._models.follow(wanted, POLL_SECONDS)
        after = self._models.shards()
        if after != before:
            _log.info("shards_changed", taken=sorted(after - before), given_up=sorted(before - after))
        self._on_shards(len(after))

    def close(self) -> None:
        """Leave the group: others take over at once, as soon as the locks are free."""
        self._group.close()
