"""`rollout` of loop.yaml: how a challenger is tried before its promotion, and watched after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from shared.contracts.duration import Duration, Length
from shared.contracts.feature import Section

# A watch is divided into blocks of seconds at least.
_SHORTEST_WATCH = timedelta(minutes=1)


# With more, too few requests would be left to compare with.
_LARGEST_SHARE = 0.5


class Canary(Section):
    """A challenger that passed the gate answers a share of the requests before it is promoted."""

    share: float = Field(gt=0, le=_LARGEST_SHARE, description="Share of the requests that it answers.")
    duration: Length = Field(
        description="How long, in event time; at least 1m. Outcomes that are due by then are judged, so it should be longer than "
        "`outcome.delay`."
    )

    @field_validator("duration")
    @classmethod
    def _long_enough(cls, duration: timedelta) -> timedelta:
        return _at_least_shortest(duration)


class Rollout(Section):
    """What a challenger goes through between gate and promotion, and what follows a release."""

    shadow: Duration = Field(
        timedelta(0),
        description="How long a challenger that passed the gate answers copies of requests before it is promoted, in event time; "
        "at least 1m. 0: not at all.",
    )
    canary: Canary | None = Field(
        None,
        description="Share of the requests that a challenger answers before it is promoted, and for how long. 0: no canary.",
    )
    watch: Duration = Field(
        timedelta(days=7),
        description="How long a released version is watched, in event time; at least 1m. 0: not at all.",
    )
    tolerance: float = Field(
        0.0,
        ge=0,
        description="By how much the loss of a challenger, or of a released version, may exceed that of the version that it is "
        "compared with, in the metric.",
    )

    @field_validator("watch", "shadow", mode="before")
    @classmethod
    def _without_unit(cls, length: Any) -> Any:
        return timedelta(0) if length == 0 and type(length) is int else length

    @field_validator("canary", mode="before")
    @classmethod
    def _switched_off(cls, canary: Any) -> Any:
        return None if canary == 0 and type(canary) is int else canary

    @field_validator("watch", "shadow")
    @classmethod
    def _long_enough(cls, length: timedelta) -> timedelta:
        return _at_least_shortest(length)

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        # Manifests from before these keys keep their bytes, and so their versions' names.
        if not self.shadow:
            document.pop("shadow", None)
        if self.canary is None:
            document.pop("canary", None)
        return document


def _at_least_shortest(length: timedelta) -> timedelta:
    if timedelta(0) < length < _SHORTEST_WATCH:
        raise ValueError("it takes at least 1m; 0 switches it off")
    return length
