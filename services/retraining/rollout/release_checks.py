"""What must hold in the release log for an entry to be added to it."""

from __future__ import annotations

from shared.contracts.manifest import short
from shared.contracts.release import Reason, Release, Slot, live, slots
from shared.errors import Conflict

# The actor of what no person did.
LOOP = "loop"


class CanaryEnded(Conflict):
    """A person has ended the canary whose version was to be promoted."""


class SlotTaken(Conflict):
    """A slot that a run needs holds what a person started there."""


def check_generation(log: list[Release], expected: int | None) -> None:
    """Raises Conflict if the newest generation is not the expected one; None disables the check."""
    if expected is not None and expected != len(log):
        last = f": a {log[-1].reason} by {log[-1].actor}" if log else ""
        raise Conflict(
            f"generation {expected} was expected to be served, but generation {len(log)} is{last}",
            hint="check the releases: the change may have been made already",
        )


def check_champion(log: list[Release], champion: str, hint: str = "start a new run") -> None:
    """Raises Conflict unless the version that a challenger was compared with is live; empty: unless none is."""
    release = live(log)
    served = release.version if release else ""
    if served != champion:
        raise Conflict(
            f"the challenger was compared with {short(champion) or 'nothing'}, "
            f"but {short(served) or 'nothing'} is served now",
            hint=hint,
        )


def check_canary(log: list[Release], version: str) -> None:
    """Raises CanaryEnded unless the version is served as canary."""
    canary = slots(log).get("canary")
    if canary is None or canary.version != version:
        started = [one.generation for one in log if (one.reason, one.version) == ("canary", version)]
        ended = next((one for one in log[started[-1] :] if one.slot != "shadow"), None) if started else None
        by = f" by {ended.actor} in generation {ended.generation}" if ended else ""
        raise CanaryEnded(f"its canary was ended{by} before it was promoted")


def keeps_changing(model: str) -> Conflict:
    """The error where every attempt found another newest generation."""
    return Conflict(f"the release log of {model} keeps changing", hint="try again")


def check_vacant(log: list[Release], slot: Slot, run_id: str) -> None:
    """Raises SlotTaken if the slot holds a version that another run or a person started."""
    current = slots(log).get(slot)
    if current is not None and current.run_id != run_id:
        by = f"run {current.run_id}" if current.run_id else current.actor
        owner = "another run" if current.run_id else "a person"
        raise SlotTaken(
            f"{by} serves {short(current.version)} as {slot} since generation {current.generation}, and a run "
            f"replaces no {slot} of {owner}",
            hint=f"wait until that run has ended, or end its {slot}, then start a new run"
            if current.run_id
            else f"end that {slot}, then start a new run",
        )


def promotion_of(log: list[Release], run_id: str) -> Release | None:
    """The newest entry that promoted the version of a run."""
    mine = (one for one in reversed(log) if (one.run_id, one.reason) == (run_id, "promotion"))
    return next(mine, None)


def closing_entry(
    log: list[Release], version: str, *, fenced: bool
) -> tuple[str, Reason, Slot, float] | None:
    """Version, reason, slot and share of the entry after which a run cannot promote `version`; None if none is needed.

    The canary of the version is ended. Else, if `fenced`, the entry changes nothing that is served: it withdraws from a slot
    that is empty, or repeats what a person has in the slot canary.
    """
    served = slots(log)
    canary = served.get("canary")
    if canary is not None and canary.version == version:
        return version, "withdrawal", "canary", 0.0
    if not fenced or not log:
        return None
    vacant: Slot | None = next((slot for slot in ("canary", "shadow") if slot not in served), None)
    if vacant is not None:
        return version, "withdrawal", vacant, 0.0
    assert canary is not None
    return canary.version, "canary", "canary", canary.share
