"""A model is served if requests for it are answered, now or after a load."""

from __future__ import annotations

from typing import Any

from services.inference.models.slot import Slots
from services.inference.status.served_models import served_models
from tests.fakes.releases import release_of
from tests.unit.services.inference.models.test_release_log_poller import FakeServable


class Log:
    def followed_models(self) -> frozenset[str]:
        return frozenset({"live", "old", "unloaded", "never", "loading", "broken"})

    def failing(self) -> list[str]:
        return ["old", "never", "broken"]


def test_model_is_served_unless_no_version_of_it_was_ever_loaded() -> None:
    slots: Slots[Any] = Slots()
    slots.swap(FakeServable(release_of("live", 1)))
    slots.swap(FakeServable(release_of("old", 1)))  # its newest release fails
    slots.register(release_of("unloaded", 1))  # for want of room
    slots.register(release_of("never", 1))  # its load at the start failed
    slots.swap(FakeServable(release_of("not followed", 1)))
    assert served_models(slots, Log()) == {
        "live": True,
        "old": True,
        "unloaded": True,
        "never": False,
        "loading": False,
        "broken": False,
    }
