"""Loads a release before one that cannot be loaded, for a server that has no version of the model yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.inference.models.servable import Servable
from shared.contracts.release import Release
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_MAX_RELEASES = 10  # that are looked at


class Releases(Protocol):
    """The part of the release log that is read."""

    def release(self, model: str, generation: int) -> Release: ...


def load_earlier(
    releases: Releases,
    failed: Release,
    load: Callable[[Release], Servable],
    is_stopped: Callable[[], bool],
) -> Servable | None:
    """The last release before `failed` that can be loaded; None without one. Each version is tried once."""
    tried = {failed.version}
    for generation in range(failed.generation - 1, max(0, failed.generation - 1 - _MAX_RELEASES), -1):
        if is_stopped():
            return None
        try:
            release = releases.release(failed.model, generation)
            if release.slot == "live" and release.version not in tried:
                tried.add(release.version)
                return load(release)
        except Exception as error:  # unknown errors too: the release before it may do
            _log.warning(
                "earlier_release_not_served",
                model=failed.model,
                generation=generation,
                problem=str(error) or type(error).__name__,
            )
    return None
