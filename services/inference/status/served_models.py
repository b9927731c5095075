"""Which models of the release log a server answers requests for. Pure."""

from __future__ import annotations

from typing import Protocol, TypeVar

from services.inference.models.slot import Acquirable, Slots

H = TypeVar("H", bound=Acquirable)


class Followed(Protocol):
    """What is known of the release log."""

    def followed_models(self) -> frozenset[str]: ...

    def failing(self) -> list[str]: ...


def served_models(slots: Slots[H], followed: Followed) -> dict[str, bool]:
    """Of each model that the server follows, whether requests for it are answered.

    One that is not in memory is, unless its first load failed: a request loads it.
    """
    failing, live = set(followed.failing()), set(slots.names())
    return {
        model: model in live and (model not in failing or slots.description(model) is not None)
        for model in followed.followed_models()
    }
