"""A release: one entry of a model's release log, and what a log says is served.

Three slots of a model can be served at once: `live` answers requests, a `canary` answers a share of them in its place, and a
`shadow` answers copies that nobody receives. An entry of a slot starts it, or replaces its version or share. A canary or shadow
ends with an entry of its slot whose reason is `withdrawal`, and with any later live entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Slot = Literal["live", "canary", "shadow"]
Reason = Literal["deployment", "promotion", "rollback", "canary", "shadow", "withdrawal"]
LIVE_REASONS: Final[frozenset[Reason]] = frozenset({"deployment", "promotion", "rollback"})


class Release(BaseModel):
    """`releases/000042.json`; written once, never changed. The newest live entry is what is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Name of the model.")
    generation: int = Field(ge=1, description="Number of the entry, from 1 without gaps.")
    version: str = Field(description="The version served from now on; of a withdrawal the version withdrawn.")
    previous: str = Field(
        "",
        description="The version in this slot before; empty where there was none, as for the first release.",
    )
    reason: Reason = Field(description="Why it was released.")
    actor: str = Field(description="Name of the person who released it, or `loop`.")
    run_id: str = Field("", description="The run that produced the version; empty if none did.")
    cause_key: str = Field("", description="The cause of that run.")
    note: str = Field("", description="The actor's note.")
    released_at: datetime = Field(
        description="Time of the release, by the clock of the process that wrote it."
    )
    slot: Slot = Field(
        "live",
        description="`live`: the version that answers; `canary`: one that answers a share of the predictions in its place; "
        "`shadow`: one that answers copies of requests, and nobody receives these answers. An entry without it is live.",
    )
    share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the predictions that a canary answers, or of the requests that are copied to a shadow; 1 in a live "
        "entry, 0 in a withdrawal.",
    )
    previous_entry: str = Field(
        "", description="SHA-256 of the file of the entry before; empty in the first entry."
    )
    signature: str = Field(
        "", description="Signature of the other fields with the installation's key; base64."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Release:
        allowed = LIVE_REASONS if self.slot == "live" else {self.slot, "withdrawal"}
        if self.reason not in allowed:
            raise ValueError(f"the reason of a {self.slot} entry is {' or '.join(sorted(allowed))}")
        if self.slot != "live" and self.generation == 1:
            raise ValueError("the first entry of a log is live")
        if (self.slot == "live" and self.share != 1) or (self.share == 0) != (self.reason == "withdrawal"):
            raise ValueError(
                "the share of a live entry is 1, of a withdrawal 0, and of others above 0 and at most 1"
            )
        return self

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if self.slot == "live":
            # Live entries keep the bytes, and so the signatures, that they had before there were slots.
            for name in ("slot", "share"):
                document.pop(name, None)
        return document


def slots(log: Iterable[Release]) -> dict[Slot, Release]:
    """The entry of each slot that is served, from a log or from its end since a live entry, oldest first.

    >>> at = {"model": "toy", "actor": "ann", "released_at": "2026-01-01T00:00:00Z"}
    >>> log = [
    ...     Release(**at, generation=1, version="a", reason="deployment"),
    ...     Release(**at, generation=2, version="b", reason="shadow", slot="shadow", share=0.5),
    ...     Release(**at, generation=3, version="b", reason="canary", slot="canary", share=0.1),
    ...     Release(**at, generation=4, version="b", reason="withdrawal", slot="shadow", share=0),
    ... ]
    >>> {slot: entry.generation for slot, entry in slots(log).items()}
    {'live': 1, 'canary': 3}
    """
    served: dict[Slot, Release] = {}
    for entry in log:
        if entry.slot == "live":
            served = {"live": entry}
        elif entry.reason == "withdrawal":
            served.pop(entry.slot, None)
        else:
            served[entry.slot] = entry
    return served


def live(log: Iterable[Release]) -> Release | None:
    """The entry whose version answers requests: the newest live one; None for an empty log."""
    return slots(log).get("live")
